import type { Cli } from '../cli.ts';
import { parseImageSpec, splitImagePath } from '../parse/image-path.ts';
import { escapeName } from '../render/escape.ts';
import { shortName } from '../render/name.ts';
import type { Completion } from './candidates.ts';

/** Names of the images in the store. */
export async function imageNames(cli: Cli): Promise<Completion> {
  const images = await (await cli.engine()).images();
  const names = images.flatMap(({ references }) => references.map(shortName));
  return { candidates: names.toSorted().map((word) => ({ word })) };
}

/**
 * Files of an image, as `IMAGE:/path`, or as plain paths of the image `of`. Names that a shell
 * would have to quote are left out.
 */
export async function pathsIn(cli: Cli, current: string, of?: string): Promise<Completion> {
  const place =
    of === undefined ? splitImagePath(current) : { ...parseImageSpec(of), path: current };
  if (!place) return { candidates: [] };
  await using tree = await (await cli.engine()).tree(place.image, { layers: place.layers });
  const directory = place.path.slice(0, place.path.lastIndexOf('/') + 1);
  const prefix = current.slice(0, current.length - place.path.length) + directory;
  const candidates = tree
    .readdir(directory === '' ? '/' : directory)
    .filter(({ raw }) => /^[\w.+,@%~-]+$/.test(escapeName(raw)))
    .map(({ name, type }) => ({ word: `${prefix}${name}${type === 'directory' ? '/' : ''}` }));
  return { candidates, open: true };
}
