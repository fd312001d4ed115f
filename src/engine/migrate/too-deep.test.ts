import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageRecord } from '../../db/images.ts';
import { chainIds, type DiffId } from '../../oci/digest.ts';
import { tooDeep } from './too-deep.ts';

const diffIdOf = (layer: string): DiffId => `sha256:${layer.padStart(64, '0')}` as DiffId;

/** A store of images, each a word whose letters are its layers, base first. */
function obstacles(depth: number | undefined, ...words: readonly string[]): string[] {
  const numbers = new Map<string, number>();
  const snapshots: { id: number; name: string; parent: number | null }[] = [];
  const steps = new Map<string, { key: string; snapshots: number[] }>();
  for (const word of words) {
    const chain = chainIds(word.split('').map(diffIdOf));
    for (const [at, name] of chain.entries()) {
      if (numbers.has(name)) continue;
      const id = numbers.size + 1;
      numbers.set(name, id);
      snapshots.push({ id, name, parent: numbers.get(chain[at - 1] ?? '') ?? null });
      const key = word[at]!;
      if (!steps.has(key)) steps.set(key, { key, snapshots: [] });
      steps.get(key)!.snapshots.push(id);
    }
  }
  return tooDeep({ name: 'few', ...(depth && { depth }) }, snapshots, [...steps.values()], () =>
    words.map(imageOf),
  );
}

const imageOf = (word: string): ImageRecord => ({
  id: diffIdOf(word),
  config: Buffer.from(
    JSON.stringify({
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: word.split('').map(diffIdOf) },
    }),
  ),
  pulledAt: new Date(0),
  manifests: [],
  references: [
    {
      name: `image-${word}`,
      image: diffIdOf(word),
      manifest: diffIdOf(word),
      target: { mediaType: '', digest: diffIdOf(word), size: 0 },
      updatedAt: new Date(0),
    },
  ],
  repoDigests: [],
});

const CASES: readonly (readonly [
  what: string,
  depth: number | undefined,
  images: readonly string[],
  named: string | undefined,
])[] = [
  ['as many layers as it stacks', 3, ['abc', 'abd'], undefined],
  ['more', 3, ['abc', 'abcd', 'abd'], 'image-abcd'],
  ['more in two images, one on the other', 2, ['abc', 'abcd', 'ab'], 'image-abc, image-abcd'],
  ['more only if one that it has twice counts twice', 2, ['abab', 'cd'], undefined],
  ['more, with a driver that stacks any number', undefined, ['abcd'], undefined],
];

for (const [what, depth, images, named] of CASES)
  test(`an image with ${what} ${named === undefined ? 'is not' : 'is'} in the way of a driver`, () => {
    const found = obstacles(depth, ...images);
    assert.equal(found.length, named === undefined ? 0 : 1);
    if (named !== undefined) assert.ok(found[0]!.includes(`(${named})`), found[0]);
  });
