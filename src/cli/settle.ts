import type { Engine } from '../engine/engine.ts';
import type { Cli } from './cli.ts';

/**
 * After images have come: blobs that the store does not keep go. Looking for recipes takes longer
 * than anybody should wait, and is left to a process of its own.
 */
export async function settle(cli: Cli, engine: Engine): Promise<void> {
  const { pending } = await engine.settleBlobs({ prove: false, signal: cli.signal });
  if (pending.length > 0) cli.startInBackground('__settle');
}
