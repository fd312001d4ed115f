import type { Command } from 'commander';
import type { TreeStat, UnionTree } from '../../../union/tree.ts';
import type { Cli } from '../../cli.ts';
import { parseImagePaths } from '../../parse/image-path.ts';
import { examples } from '../../program.ts';
import { escapeName } from '../../render/escape.ts';
import { escapeJson } from '../../render/json.ts';
import { type Listed, longListing, shortListing } from '../../render/file/ls.ts';
import { statJson } from '../../render/file/stat.ts';

interface Options {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function ls(command: Command, cli: Cli): void {
  command
    .argument('<image>', 'image, IMAGE@N for its first N layers, or IMAGE:/path')
    .argument('[path]', 'file or directory in the image', undefined)
    .option('-l, --long', 'mode, links, owner, size, time, and @ the layer')
    .option('-R, --recursive', 'subdirectories, too')
    .option('-a, --all', 'also names that begin with a dot')
    .option('--json', 'all there is to know, a line of JSON for each file')
    .action((image: string, path: string | undefined, options: Options) =>
      list(cli, image, path, options),
    );
  examples(
    command,
    ['mica ls redis', 'the root directory'],
    ['mica ls -l redis:/etc', 'a directory in full'],
    ['mica ls -R redis@2 /usr', 'as its first two layers have it'],
  );
}

async function list(
  cli: Cli,
  first: string,
  second: string | undefined,
  options: Options,
): Promise<void> {
  const [place] = parseImagePaths(first, second === undefined ? [] : [second], '/');
  const { image, layers, path } = place!;
  const engine = await cli.engine();
  await using tree = await engine.tree(image, { layers });
  const text = options.json ? jsonLines(tree, path, options) : listing(tree, path, options);
  for (const chunk of batched(text)) await cli.out.write(chunk);
}

function* listing(tree: UnionTree, path: string, options: Options): Generator<string> {
  // As ls does: with -l a link is shown, not followed, unless a slash asks for more.
  const stat = options.long ? tree.lstat(path) : tree.stat(path);
  if (stat.type !== 'directory') {
    yield render([{ name: Buffer.from(path), stat }], options);
    return;
  }
  const { raw } = tree.resolve(path);
  yield* descend(tree, Buffer.from(raw), Buffer.from(path), options);
}

function* descend(
  tree: UnionTree,
  raw: Uint8Array,
  shown: Buffer,
  options: Options,
  isFirst = true,
): Generator<string> {
  const entries = tree
    .list(raw)
    .map((entry) => ({ entry, name: nameIn(entry.raw) }))
    .filter(({ name }) => options.all || name[0] !== DOT);
  if (options.recursive) yield `${isFirst ? '' : '\n'}${escapeName(shown)}:\n`;
  const files = entries.map(
    ({ entry, name }): Listed => ({ name, ...(options.long && { stat: entry.stat }) }),
  );
  yield render(files, options);
  if (!options.recursive) return;
  for (const { entry, name } of entries)
    if (entry.type === 'directory')
      yield* descend(tree, entry.raw, join(shown, name), options, false);
}

const nameIn = (path: Uint8Array): Uint8Array => path.subarray(path.lastIndexOf(SLASH[0]!) + 1);

const DOT = 0x2e;
const SLASH = Buffer.from('/');

const join = (directory: Buffer, name: Uint8Array): Buffer =>
  directory.at(-1) === SLASH[0]
    ? Buffer.concat([directory, name])
    : Buffer.concat([directory, SLASH, name]);

const render = (files: readonly Listed[], { long }: Options): string =>
  long ? longListing(files) : shortListing(files);

function* jsonLines(tree: UnionTree, path: string, options: Options): Generator<string> {
  const line = (raw: Uint8Array, text: string, stat: TreeStat): string =>
    `${escapeJson(JSON.stringify(statJson(raw, text, stat)))}\n`;
  const { raw, path: real } = tree.resolve(path);
  const top = tree.lstat(raw);
  if (top.type !== 'directory') {
    yield line(raw, real, top);
    return;
  }
  const depth = depthOf(raw);
  let hidden: Buffer | undefined;
  for (const entry of tree.walk(raw)) {
    const below = depthOf(entry.raw) - depth;
    if (below === 0 || (below > 1 && !options.recursive)) continue;
    const bytes = Buffer.from(entry.raw);
    if (hidden && bytes.subarray(0, hidden.length).equals(hidden)) continue;
    hidden = undefined;
    if (!options.all && bytes[bytes.lastIndexOf(SLASH) + 1] === DOT) {
      hidden = Buffer.concat([bytes, SLASH]);
      continue;
    }
    yield line(entry.raw, entry.path, entry.stat);
  }
}

/** Slashes of a path, none for the root. */
const depthOf = (raw: Uint8Array): number =>
  raw.length === 1 ? 0 : raw.reduce((count, byte) => count + (byte === SLASH[0] ? 1 : 0), 0);

/** The same text in fewer pieces. */
function* batched(pieces: Iterable<string>): Generator<string> {
  let batch = '';
  for (const piece of pieces) {
    batch += piece;
    if (batch.length < 64 * 1024) continue;
    yield batch;
    batch = '';
  }
  if (batch) yield batch;
}
