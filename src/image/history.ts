import type { History, ImageConfig } from '../oci/config.ts';

/**
 * An image's history, such that each layer has its step: readers that count refuse others. One that
 * does not fit the layers says nothing about them, and is replaced by steps that say so.
 */
export function fittedHistory({ history = [], rootfs }: ImageConfig): readonly History[] {
  const { diff_ids } = rootfs;
  const steps = history.filter(({ empty_layer }) => empty_layer !== true);
  if (steps.length === diff_ids.length) return history;
  return diff_ids.map(() => ({ comment: 'not recorded' }));
}

/** How many steps of a fitted history come before the step of layer `layer` (0 is the base). */
export function stepsBelow(history: readonly History[], layer: number): number {
  let left = layer;
  const at = history.findIndex(({ empty_layer }) => empty_layer !== true && left-- === 0);
  return at < 0 ? history.length : at;
}
