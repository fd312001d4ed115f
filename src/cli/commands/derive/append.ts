import type { Command } from 'commander';
import type { AppendOptions } from '../../../engine/derive/derive.ts';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { parseCompression } from '../../parse/compression.ts';
import { examples } from '../../program.ts';
import { type DerivedOptions, derivedOptions, printDerived } from './derived.ts';

interface Options extends DerivedOptions {
  readonly owner: string;
  readonly message?: string;
  readonly compression: string;
}

export function append(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .argument('<file...>', 'tar archives, also compressed ones, or directories: a layer each')
    .option('--owner <uid:gid>', 'whose the files of directories are; keep: as here', '0:0')
    .option('-m, --message <text>', 'for the history')
    .option('--compression <how>', 'of what is not compressed yet: gzip, zstd or none', 'gzip');
  derivedOptions(command).action((image: string, files: string[], options: Options) =>
    run(cli, image, files, options),
  );
  examples(
    command,
    ['mica append debian ./rootfs -t app', 'what is in the directory, on top'],
    ['mica append debian app.tar.gz -t app', 'an archive as it is: its digest stays'],
  );
}

async function run(cli: Cli, name: string, files: string[], options: Options): Promise<void> {
  const { owner, message, compression, tag: names } = options;
  const engine = await cli.engine();
  const image = await engine.append(name, files, {
    ...parseCompression(compression),
    owner: parseOwner(owner),
    message,
    names,
    signal: cli.signal,
  });
  await printDerived(cli, image, options);
}

/** Numbers below 2³² - 1, which stands for none. */
function parseOwner(text: string): AppendOptions['owner'] {
  if (text === 'keep') return text;
  const [, uid = '', gid = uid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text) ?? [];
  const owner = { uid: Number(uid), gid: Number(gid) };
  if (uid !== '' && Math.max(owner.uid, owner.gid) < 0xff_ff_ff_ff) return owner;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `--owner ${JSON.stringify(text.slice(0, 100))}: write UID:GID in numbers, or keep`,
  );
}
