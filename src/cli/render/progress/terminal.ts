import { createLogUpdate } from 'log-update';
import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import type { OutputStream } from '../../output.ts';
import { frame } from './frame.ts';
import type { Conclusion, Renderer } from './renderer.ts';
import { TransferState } from './state.ts';
import { announcement } from './text.ts';
import { PULL, type Words } from './words.ts';

/** Time between two pictures, in milliseconds. */
const INTERVAL = 100;

/** A line a layer, redrawn in place. */
export function terminalProgress(stream: OutputStream, words: Words = PULL): Renderer {
  const state = new TransferState(words);
  const update = createLogUpdate(stream);
  let changed = false;
  const lines = (rows: number): string =>
    frame(state, { columns: stream.columns ?? 80, rows }, Date.now()).join('\n');
  const draw = (): void => {
    // Countdowns move on their own.
    if (!changed && !state.layers.some(({ phase }) => phase === 'retrying')) return;
    changed = false;
    update(lines(stream.rows ?? 24));
  };
  let timer: NodeJS.Timeout | undefined;
  return {
    event(event: TransferEvent) {
      const text = announcement(event);
      if (text !== undefined) update.persist(text);
      state.apply(event, Date.now());
      changed = true;
      if (event.type === 'layers') timer ??= setInterval(draw, INTERVAL).unref();
    },
    end(conclusion: Conclusion | undefined) {
      clearInterval(timer);
      update.clear();
      // More lines than the screen has are no trouble once nothing is redrawn.
      if (state.layers.length > 0) update.persist(lines(Infinity));
      update.done();
      if (conclusion) stream.write(`${conclusion.lines.join('\n')}\n`);
    },
  };
}
