import { shortId } from '../name.ts';
import { size } from '../quantity.ts';
import { escape } from '../escape.ts';
import { cut } from '../table.ts';
import type { LayerState } from './state.ts';
import type { Words } from './words.ts';

/** docker's bar. */
const MAX_BAR = 50;
/** A shorter bar says nothing. */
const MIN_BAR = 8;

/** One layer on one line of a terminal. */
export function layerLine(layer: LayerState, words: Words, columns: number, now: number): string {
  const text = status(layer, words, columns - 14, now);
  return cut(`${shortId(layer.target.digest)}: ${text}`, columns);
}

function status(layer: LayerState, words: Words, columns: number, now: number): string {
  switch (layer.phase) {
    case 'waiting':
      return 'Waiting';
    case 'exists':
      return words.exists;
    case 'downloading':
      return moving(layer, words, columns);
    case 'downloaded':
      return words.moved;
    case 'mounted':
      return `Mounted from ${escape(layer.from ?? '')}`;
    case 'extracting':
      return bar('Extracting', layer.extracted, layer.target.size, '', columns);
    case 'retrying':
      return retrying(layer, now);
    default:
      return words.complete;
  }
}

function moving(
  { bytes, target, rate, shared, resumed }: LayerState,
  words: Words,
  columns: number,
): string {
  if (shared) return bar('Downloaded by another process', bytes, target.size, '', columns);
  const speed = rate > 0 ? `  ${size(rate)}/s` : '';
  const again = resumed > 0 ? `  resumed at ${size(resumed)}` : '';
  return bar(words.moving, bytes, target.size, speed + again, columns);
}

function retrying({ retry }: LayerState, now: number): string {
  const seconds = Math.max(0, Math.ceil(((retry?.at ?? now) - now) / 1000));
  const reason = escape(retry?.reason ?? '');
  return `Retrying ${seconds > 0 ? `in ${seconds} s` : 'now'}: ${reason}`;
}

/** `Downloading [====>     ]  12.3MB/45.6MB`, with as much bar as there is room. */
function bar(word: string, done: number, total: number, suffix: string, columns: number): string {
  const figures = `${size(done)}/${size(total)}${suffix}`;
  const room = columns - word.length - figures.length - 6;
  if (room < MIN_BAR || total === 0) return `${word} ${figures}`;
  const width = Math.min(MAX_BAR, room);
  const filled = Math.floor(Math.min(1, done / total) * width);
  const head = filled < width ? '>' : '';
  return `${word} [${('='.repeat(filled) + head).padEnd(width)}]  ${figures}`;
}
