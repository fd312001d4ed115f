import type { PullEvent, PullResult } from '../../../engine/engine.ts';
import { escape } from '../escape.ts';
import { shortId } from '../name.ts';
import { size } from '../quantity.ts';
import type { PullRenderer } from './renderer.ts';
import { PullState } from './state.ts';
import { announcement, conclusion } from './text.ts';

/** At most one line about bytes in this time, in milliseconds. */
const INTERVAL = 5000;

/** Lines for logs: each layer's end, what went wrong, and from time to time how far it is. */
export function plainProgress(
  write: (text: string) => void,
  now: () => number = Date.now,
): PullRenderer {
  const state = new PullState();
  let told = now();
  const say = (text: string): void => write(`${text}\n`);
  return {
    event(event: PullEvent) {
      const text = announcement(event);
      if (text !== undefined) say(text);
      const layer = state.apply(event, now());
      const fact = layer && factOf(event);
      if (layer && fact) say(`${shortId(layer.target.digest)}: ${fact}`);
      if (event.type === 'bytes' && now() - told >= INTERVAL) {
        told = now();
        say(overview(state));
      }
    },
    end(result: PullResult | undefined) {
      if (result) conclusion(result).forEach(say);
    },
  };
}

function factOf(event: PullEvent): string | undefined {
  switch (event.type) {
    case 'exists':
      return 'Already exists';
    case 'downloaded':
      return 'Download complete';
    case 'complete':
      return 'Pull complete';
    case 'retry':
      return `Retrying in ${Math.ceil(event.delay / 1000)} s: ${escape(event.reason)}`;
    default:
      return undefined;
  }
}

function overview(state: PullState): string {
  const { bytes, total } = state.fetched;
  const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100);
  return `Downloading ${size(bytes)}/${size(total)} (${percent}%), ${size(state.rate)}/s, ${state.done} of ${state.layers.length} layers complete`;
}
