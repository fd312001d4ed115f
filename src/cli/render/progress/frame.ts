import { size } from '../quantity.ts';
import { cut } from '../table.ts';
import { layerLine } from './line.ts';
import type { LayerPhase, LayerState, TransferState } from './state.ts';

export interface Screen {
  readonly columns: number;
  readonly rows: number;
}

/** Phases worth a line when there is not one for every layer. */
const ACTIVE: ReadonlySet<LayerPhase> = new Set([
  'downloading',
  'downloaded',
  'extracting',
  'retrying',
]);

/**
 * What a terminal shows of a transfer now: a line a layer, base first. Where there are more layers than
 * lines, those that move, and a last line about the others.
 */
export function frame(state: TransferState, screen: Screen, now: number): string[] {
  const { layers } = state;
  const room = Math.max(1, screen.rows - 2);
  const line = (layer: LayerState): string => layerLine(layer, state.words, screen.columns, now);
  if (layers.length <= room) return layers.map(line);
  const shown = layers.filter(({ phase }) => ACTIVE.has(phase)).slice(0, room - 1);
  return [...shown.map(line), cut(summary(state, shown.length), screen.columns)];
}

function summary(state: TransferState, shown: number): string {
  const { bytes, total } = state.fetched;
  const rate = state.rate > 0 ? `, ${size(state.rate)}/s` : '';
  const others = state.layers.length - shown;
  return `${shown > 0 ? `and ${others} more; ` : ''}${state.done} of ${state.layers.length} layers complete, ${size(bytes)}/${size(total)}${rate}`;
}
