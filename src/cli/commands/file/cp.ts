import type { Command } from 'commander';
import { lstat, stat } from 'node:fs/promises';
import { MicaError } from '../../../errors.ts';
import type { UnionTree } from '../../../union/tree.ts';
import type { Cli } from '../../cli.ts';
import { type ImagePath, parseImagePaths } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';

interface Options {
  readonly archive?: boolean;
  readonly followLink?: boolean;
}

export function cp(command: Command, cli: Cli): void {
  command
    .argument(
      '<source>',
      'CONTAINER:PATH, IMAGE:/path, an image followed by a path, or what goes into a container; - is a tar archive on standard input',
    )
    .argument(
      '<target...>',
      'file or directory, CONTAINER:PATH, or - for a tar archive on standard output',
    )
    .option('-a, --archive', 'keep owners, setuid bits and extended attributes, too (needs root)')
    .option('-L, --follow-link', 'copy what the link at the path leads to')
    .action((source: string, rest: string[], options: Options) => copy(cli, source, rest, options));
  examples(
    command,
    ['mica cp redis:/etc/redis.conf .', 'a file'],
    ['mica cp redis /usr/local/bin ./bin', 'a directory, as ./bin unless that exists'],
    ['mica cp redis:/etc/. ./etc', 'what is in a directory'],
    ['mica cp redis:/ - | tar -tv', 'all of it, as a tar archive'],
    ['mica cp site.conf web:/etc/', 'into a container'],
    ['mica cp web:/var/log .', 'out of one'],
  );
}

async function copy(cli: Cli, source: string, rest: string[], options: Options): Promise<void> {
  const target = rest.at(-1)!;
  if (rest.length === 1) {
    const { copyOfContainer } = await import('../container/cp.ts');
    if (await copyOfContainer(cli, source, target, options)) return;
  }
  const places = parseImagePaths(source, rest.slice(0, -1));
  if (places.length > 1) await requireDirectory(target);
  const engine = await cli.engine();
  for (const place of places) {
    await using tree = await engine.tree(place.image, { layers: place.layers });
    const from = sourceOf(tree, place, options.followLink === true);
    if (target === '-') await toStandardOutput(cli, tree, from);
    else await toDisk(cli, tree, from, target, options);
  }
}

/** Several would be written over each other, and of several archives in a row tar reads the first. */
async function requireDirectory(target: string): Promise<void> {
  if (target === '-')
    throw new MicaError(
      'INVALID_ARGUMENT',
      'an archive on standard output is of one path; copy the others by commands of their own',
    );
  if ((await stat(target).catch(absent))?.isDirectory()) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `cannot copy several to ${target}: it is no directory`,
  );
}

/** What is copied. */
interface Source {
  readonly raw: Buffer;
  /** Its own name; empty: it has none, or its content is meant. */
  readonly name: Buffer;
  readonly isDirectory: boolean;
}

function sourceOf(tree: UnionTree, { path }: ImagePath, follow: boolean): Source {
  const contentOnly = /(?:^|\/)\.\/*$/.test(path);
  const { raw } = tree.resolve(path, { follow: follow || path.endsWith('/') });
  const bytes = Buffer.from(raw);
  // A name of the link that was followed, not of the file that it led to.
  const named = follow ? Buffer.from(tree.resolve(path, { follow: false }).raw) : bytes;
  const { type } = tree.lstat(bytes);
  const name = contentOnly ? Buffer.alloc(0) : named.subarray(named.lastIndexOf('/') + 1);
  return { raw: bytes, name, isDirectory: type === 'directory' };
}

async function toStandardOutput(cli: Cli, tree: UnionTree, { raw, name }: Source): Promise<void> {
  if (cli.out.isTTY)
    throw new MicaError('INVALID_ARGUMENT', 'a tar archive is nothing for a terminal; redirect it');
  const { archiveOf } = await import('../../copy/archive-out.ts');
  const top = name.length > 0 ? name : Buffer.from('.');
  for await (const chunk of archiveOf(tree, raw, top, { signal: cli.signal }))
    await cli.out.write(chunk);
}

async function toDisk(
  cli: Cli,
  tree: UnionTree,
  source: Source,
  target: string,
  { archive = false }: Options,
): Promise<void> {
  const { copyOut } = await import('../../copy/copy-out.ts');
  const path = await destination(source, target);
  await copyOut(tree, source.raw, path, {
    archive,
    signal: cli.signal,
    onSkipped: (message) => cli.err.stream.write(`mica: ${message}\n`),
  });
}

/** docker's rules: into a directory that exists, else as the target itself. */
async function destination(
  { name, isDirectory }: Source,
  target: string,
): Promise<string | Buffer> {
  const found = await stat(target).catch(absent);
  if (found?.isDirectory()) {
    if (name.length === 0) return target;
    return Buffer.concat([Buffer.from(target.endsWith('/') ? target : `${target}/`), name]);
  }
  if (found && isDirectory)
    throw new MicaError('ALREADY_EXISTS', `cannot copy a directory to ${target}: it is a file`);
  if (!found && target.endsWith('/') && !isDirectory)
    throw new MicaError('NOT_FOUND', `the directory ${target} does not exist`);
  if (!found && (await lstat(target).catch(absent)))
    throw new MicaError('FAILED_PRECONDITION', `${target} is a link that leads nowhere`);
  return target.replace(/\/+$/, '');
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
