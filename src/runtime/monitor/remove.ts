import type { Socket } from 'node:net';
import { controlFrame } from '../frame.ts';
import type { RemoveOrder } from '../order.ts';
import { runtimeOf } from '../runtime.ts';

/** Ends what a killed monitor has left of a container. */
export async function remove({ runtime, id, directory }: RemoveOrder, link: Socket): Promise<void> {
  await runtimeOf(runtime).delete(id, directory);
  link.end(controlFrame({ type: 'done' }));
}
