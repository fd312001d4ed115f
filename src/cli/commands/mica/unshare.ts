import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { needsUserNamespace } from '../../../sys/userns.ts';
import type { Cli } from '../../cli.ts';
import { Delegated, runInNamespace } from '../../namespace.ts';
import { examples } from '../../program.ts';

export function unshare(command: Command, _cli: Cli): void {
  command
    .argument('[command...]', 'what to run there; default: a shell')
    .passThroughOptions()
    .action(async (words: readonly string[]) => {
      if (!needsUserNamespace())
        throw new MicaError(
          'FAILED_PRECONDITION',
          'there is no user namespace to enter: this is root, or not Linux; run the command as it is',
        );
      throw new Delegated(await runInNamespace(words.length > 0 ? words : ['/bin/sh']));
    });
  examples(
    command,
    ['mica unshare ls -l "$(mica mount redis)"', 'see a view that was mounted without root'],
    ['mica unshare', 'a shell in which owners are those of the images'],
  );
}
