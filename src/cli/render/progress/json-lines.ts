import type { PullEvent, PullResult } from '../../../engine/engine.ts';
import { jsonLine } from '../json.ts';
import type { PullRenderer } from './renderer.ts';

/** Between two events about the bytes of one layer, in milliseconds. */
const INTERVAL = 100;

/** Every event as a line of JSON; those about bytes at most ten times a second for each layer. */
export function jsonProgress(
  write: (text: string) => void,
  now: () => number = Date.now,
): PullRenderer {
  const told = new Map<string, number>();
  const isDue = (event: PullEvent): boolean => {
    if (event.type !== 'bytes' && event.type !== 'extracting') return true;
    const key = `${event.type} ${event.target.digest}`;
    const last = told.get(key);
    const isLast = event.bytes === event.target.size;
    if (!isLast && last !== undefined && now() - last < INTERVAL) return false;
    told.set(key, now());
    return true;
  };
  return {
    event(event: PullEvent) {
      if (isDue(event)) write(jsonLine(event));
    },
    end(result: PullResult | undefined) {
      if (result) write(jsonLine({ type: 'pulled', ...pulled(result) }));
    },
  };
}

/** What a pull came to, for programs. */
export const pulled = ({
  reference,
  image,
  target,
  upToDate,
  bytesFetched,
}: PullResult): object => ({
  reference,
  id: image.id,
  digest: target.digest,
  upToDate,
  bytesFetched,
});
