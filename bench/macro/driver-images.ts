/** Images that drivers are measured with. */
import { randomBytes } from 'node:crypto';
import * as t from '../../src/testing/tree.ts';

const MIB = 1 << 20;

/** What a container writes into first: on a union all of it is copied up. */
export const LARGE_FILE = 'large/256-mib';
/** What two containers read. */
export const SHARED = 'shared';

/** A file of 256 MiB, and 64 MiB in files of 16 KiB and of 4 MiB. */
export function largeImage(): t.Tree[] {
  const half = 32 * MIB;
  const sizes = [
    ...Array.from({ length: half / (16 * 1024) }, () => 16 * 1024),
    ...Array.from({ length: half / (4 * MIB) }, () => 4 * MIB),
  ];
  const files = new Map(
    sizes.map((size, i) => [`${SHARED}/${i % 50}/file-${i}`, t.file(Buffer.alloc(size, `${i} `))]),
  );
  return [t.tree({ [LARGE_FILE]: t.file(randomBytes(256 * MIB)) }), t.tree(files)];
}

/** 4,000 files of 8 KiB in 400 directories, in 4 layers. */
export function manyFiles(): t.Tree[] {
  const layers = Array.from({ length: 4 }, () => new Map<string, t.Item>());
  for (let i = 0; i < 4000; i++)
    layers[i % 4]!.set(`usr/${i % 20}/${i % 400}/file-${i}`, t.file(Buffer.alloc(8192, `${i} `)));
  return layers.map((items) => t.tree(items));
}
