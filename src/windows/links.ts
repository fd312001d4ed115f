import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import { toBytes } from '../sys/byte-string.ts';
import { errnoOf, fromNode } from '../sys/errno.ts';
import { LAYER_FILES } from './layer-files.ts';

/** A hard link of a layer. Byte strings. */
export type Link = readonly [path: string, target: string];

/** The file is text: names are UTF-8. */
export function writeLinks(directory: string, links: readonly Link[]): void {
  if (links.length === 0) return;
  const text = JSON.stringify(links.map((names) => names.map(textOf)));
  writeFileSync(join(directory, LAYER_FILES.links), text);
}

/** The hard links of a layer's directory, in the order of its archive. */
export function linksOf(directory: string): Link[] {
  const path = join(directory, LAYER_FILES.links);
  try {
    const links = JSON.parse(readFileSync(path, 'utf8')) as readonly [string, string][];
    return links.map(([name, target]): Link => [toBytes(name), toBytes(target)]);
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return [];
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw fromNode(cause);
    throw new MicaError('DATA_LOSS', `${path} is damaged; run mica check`, { cause });
  }
}

const textOf = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();
