import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import { jsonLine } from '../json.ts';
import type { Conclusion, Renderer } from './renderer.ts';

/** Between two events about the bytes of one layer, in milliseconds. */
const INTERVAL = 100;

/** Every event as a line of JSON; those about bytes at most ten times a second for each layer. */
export function jsonProgress(
  write: (text: string) => void,
  now: () => number = Date.now,
): Renderer {
  const told = new Map<string, number>();
  const isDue = (event: TransferEvent): boolean => {
    if (event.type !== 'bytes' && event.type !== 'extracting') return true;
    const key = `${event.type} ${event.target.digest}`;
    const last = told.get(key);
    const isLast = event.bytes === event.target.size;
    if (!isLast && last !== undefined && now() - last < INTERVAL) return false;
    told.set(key, now());
    return true;
  };
  return {
    event(event: TransferEvent) {
      if (isDue(event)) write(jsonLine(event));
    },
    end(conclusion: Conclusion | undefined) {
      if (conclusion) write(jsonLine(conclusion.fact));
    },
  };
}
