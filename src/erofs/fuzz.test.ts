import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fuzz, type FuzzResult } from '../testing/fuzz-index.ts';
import { soundImages } from '../testing/sound-images.ts';
import { mergeIndexes } from './merge.ts';
import { openIndex } from './read.ts';
import { writeIndex } from './write.ts';

const ours = soundImages(40);
const theirs = ['compact', 'tar-index'].map((name) =>
  readFileSync(join(import.meta.dirname, 'fixtures', `${name}.erofs`)),
);

test('damage aimed at any field gives coded errors or something else to read, in good time', () => {
  const more = ({ images }: FuzzResult): boolean => images < 3000;
  const { opened, calls, errors } = fuzz([...ours, ...theirs], { seed: 1, more });
  assert.ok(opened > 100 && calls > 10_000, 'the damage is not so large that nothing is reached');
  assert.ok(errors.get('DATA_LOSS')! > 100, 'the damage is found');
});

test('a damaged index among others gives coded errors or a merged one that can be read', () => {
  let merged = 0;
  fuzz(ours, {
    seed: 1,
    more: ({ images }) => images < 1500,
    also(image) {
      using damaged = openIndex(image);
      using sound = openIndex(ours[0]!);
      for (const indexes of [
        [sound, damaged],
        [damaged, sound],
      ]) {
        const { root, devices, read } = mergeIndexes(indexes);
        const chunks: Buffer[] = [];
        writeIndex(root, (chunk) => chunks.push(Buffer.from(chunk)), { devices, read });
        using again = openIndex(Buffer.concat(chunks));
        again.readdir(again.root);
        merged++;
      }
    },
  });
  assert.ok(merged > 100, 'the damage is not so large that nothing is merged');
});
