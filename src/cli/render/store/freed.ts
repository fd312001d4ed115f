import type { GcResult } from '../../../engine/space/gc.ts';
import { escape } from '../escape.ts';
import { count, size } from '../quantity.ts';

/** What a collection removed, and the space that came of it. */
export function renderFreed(
  { images, blobs, layers, partials, bytes }: GcResult,
  { dryRun }: { readonly dryRun: boolean },
): string {
  const lines = [
    ...(images.length > 0 ? [dryRun ? 'Would delete images:' : 'Deleted Images:'] : []),
    ...images.map((image) => `deleted: ${escape(image)}`),
    ...(images.length > 0 ? [''] : []),
    ...(layers.length > 0 ? [count(layers.length, 'unpacked layer')] : []),
    ...(blobs.length > 0 ? [count(blobs.length, 'blob')] : []),
    ...(partials.length > 0 ? [count(partials.length, 'partial download')] : []),
  ];
  const total = `${dryRun ? 'Would be reclaimed' : 'Total reclaimed space'}: ${size(bytes)}`;
  return [...lines, total].map((line) => `${line}\n`).join('');
}
