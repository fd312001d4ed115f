import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import { escape } from '../escape.ts';
import { shortId } from '../name.ts';
import { size } from '../quantity.ts';
import type { Conclusion, Renderer } from './renderer.ts';
import { type LayerState, TransferState } from './state.ts';
import { announcement, retrying } from './text.ts';
import { PULL, type Words } from './words.ts';

/** At most one line about bytes in this time, in milliseconds. */
const INTERVAL = 5000;

/** Lines for logs: each layer's end, what went wrong, and from time to time how far it is. */
export function plainProgress(
  write: (text: string) => void,
  now: () => number = Date.now,
  words: Words = PULL,
): Renderer {
  const state = new TransferState(words);
  let told = now();
  const say = (text: string): void => write(`${text}\n`);
  return {
    event(event: TransferEvent) {
      const text = announcement(event);
      if (text !== undefined) say(text);
      const layer = state.apply(event, now());
      const fact = layer && factOf(event, words, layer);
      if (layer && fact) say(`${shortId(layer.target.digest)}: ${fact}`);
      if (event.type === 'bytes' && now() - told >= INTERVAL) {
        told = now();
        say(overview(state));
      }
    },
    end(conclusion: Conclusion | undefined) {
      conclusion?.lines.forEach(say);
    },
  };
}

function factOf(event: TransferEvent, words: Words, { phase }: LayerState): string | undefined {
  switch (event.type) {
    case 'exists':
      return words.exists;
    case 'downloaded':
      return words.moved;
    case 'complete':
      return phase === 'mounted' ? undefined : words.complete;
    case 'mounted':
      return `Mounted from ${escape(event.from)}`;
    case 'retry':
      return retrying(event);
    default:
      return undefined;
  }
}

function overview(state: TransferState): string {
  const { bytes, total } = state.fetched;
  const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100);
  return `${state.words.moving} ${size(bytes)}/${size(total)} (${percent}%), ${size(state.rate)}/s, ${state.done} of ${state.layers.length} layers complete`;
}
