import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../../../oci/whiteout.ts';

/** A directory of whiteouts, to be a branch right below layer `below`. */
interface Hiding {
  /** Number of a layer. */
  readonly below: number;
  /** Directory, from the root; a byte string, '' or with a slash at its end. */
  readonly path: string;
  readonly name: string;
}

/**
 * Where AUFS would show too much. Its directories show what directories of the same name have in
 * branches further down, even if something else of that name lies between. To all others that hides
 * what is below it, and so does a whiteout in a branch of its own.
 *
 * @param layers - directories, nearest first
 * @param branchBelow - directory of whiteouts below a layer, by its number
 */
export function hideBelow(layers: readonly string[], branchBelow: (layer: number) => string): void {
  for (const { below, path, name } of hidings(layers, layers.keys().toArray(), '')) {
    const directory = bytes(`${encoded(branchBelow(below))}/${path}`);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    writeFileSync(Buffer.concat([directory, bytes(WHITEOUT_PREFIX + name)]), '', { mode: 0o444 });
  }
}

/** @param sharing - the layers that show together in directory `path` */
function* hidings(
  layers: readonly string[],
  sharing: readonly number[],
  path: string,
): Generator<Hiding> {
  const listings = sharing.map((layer) => listing(pathIn(layers[layer]!, path)));
  const names = new Set(listings.flatMap(({ directories }) => [...directories]));
  for (const name of names) {
    const shown: number[] = [];
    let between: number | undefined;
    for (const [at, layer] of sharing.entries()) {
      const { all, directories } = listings[at]!;
      if (all.has(WHITEOUT_PREFIX + name)) break;
      if (!all.has(name)) continue;
      if (!directories.has(name)) {
        // Topmost, it alone shows.
        if (shown.length === 0) break;
        between ??= layer;
      } else if (between !== undefined) {
        yield { below: between, path, name };
        break;
      } else {
        shown.push(layer);
        if (isOpaque(pathIn(layers[layer]!, `${path}${name}/`))) break;
      }
    }
    if (shown.length > 1) yield* hidings(layers, shown, `${path}${name}/`);
  }
}

interface Listing {
  readonly all: ReadonlySet<string>;
  readonly directories: ReadonlySet<string>;
}

function listing(directory: Buffer): Listing {
  const [all, directories] = [new Set<string>(), new Set<string>()];
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name.toString('latin1');
    all.add(name);
    if (entry.isDirectory()) directories.add(name);
  }
  return { all, directories };
}

const isOpaque = (directory: Buffer): boolean =>
  existsSync(Buffer.concat([directory, bytes(OPAQUE_WHITEOUT)]));

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const encoded = (path: string): string => Buffer.from(path).toString('latin1');
const pathIn = (layer: string, path: string): Buffer => bytes(`${encoded(layer)}/${path}`);
