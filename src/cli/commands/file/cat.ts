import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { forEachTarget } from '../../failure.ts';
import { parseImagePaths } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';

export function cat(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'image, IMAGE@N for its first N layers, or IMAGE:/path')
    .argument('[path...]', 'files in the image')
    .action((image: string, paths: string[]) => print(cli, image, paths));
  examples(
    command,
    ['mica cat redis:/etc/os-release', 'one file'],
    ['mica cat redis /etc/passwd /etc/group', 'several, one after another'],
    ['mica cat app@1:/etc/motd', 'as the base layer has it'],
  );
}

async function print(cli: Cli, first: string, paths: string[]): Promise<void> {
  const places = parseImagePaths(first, paths);
  const engine = await cli.engine();
  await forEachTarget(cli, places, async ({ image, layers, path }) => {
    await using tree = await engine.tree(image, { layers });
    // Raw: these bytes are what was asked for.
    for await (const chunk of tree.createReadStream(path, { signal: cli.signal }))
      await cli.out.write(chunk);
  });
}
