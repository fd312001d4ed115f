/**
 * Damages index images for as long as one likes, and fails with the seed when reading, merging or
 * stacking one does anything but answer or give a coded error. The tests do it for some seconds.
 *
 *     node scripts/fuzz.ts [--seconds 600] [--seed 1] [IMAGE …]      images to damage beside ours
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { mergeIndexes } from '../src/erofs/merge.ts';
import { openIndex } from '../src/erofs/read.ts';
import { writeIndex } from '../src/erofs/write.ts';
import { fuzz } from '../src/testing/fuzz-index.ts';
import { soundImages } from '../src/testing/sound-images.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
  },
});

const ours = soundImages(200);
const end = performance.now() + Number(values.seconds) * 1000;
const images = [...ours, ...positionals.map((path) => readFileSync(path))];
const { errors, ...result } = fuzz(images, {
  seed: Number(values.seed),
  more: () => performance.now() < end,
  also(image) {
    using damaged = openIndex(image);
    using sound = openIndex(ours[0]!);
    for (const indexes of [
      [sound, damaged],
      [damaged, sound],
    ]) {
      const { root, devices, read } = mergeIndexes(indexes);
      writeIndex(root, () => {}, { devices, read });
    }
  },
});
const { maxRSS } = process.resourceUsage();
console.log({ ...result, ...Object.fromEntries(errors), peakMiB: Math.round(maxRSS / 1024) });
