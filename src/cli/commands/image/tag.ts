import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';

export function tag(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .argument('<name>', 'the name it gets; another image that has it loses it')
    .action(async (image: string, name: string) => {
      await (await cli.engine()).tag(image, name);
    });
  examples(
    command,
    ['mica tag redis:7 redis:known-good', 'a second name for the same image'],
    ['mica tag 4f3a localhost:5000/team/app:1', 'name an image by the beginning of its ID'],
  );
}
