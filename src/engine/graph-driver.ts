import { Leases } from '../db/leases.ts';
import { MicaError } from '../errors.ts';
import { chooseDriver, rememberedDriver } from '../snapshot/drivers/index.ts';
import { openSnapshotter } from '../snapshot/local.ts';
import type { Context } from './context.ts';
import { findByName, storedImage } from './images.ts';

export interface GraphDriver {
  readonly Name: string;
  readonly Data: Readonly<Record<string, string>>;
}

/** @see Engine.graphDriver */
export async function graphDriver(context: Context, name: string): Promise<GraphDriver> {
  const db = await context.reading();
  const top = storedImage(db, findByName(db, name)).layers.at(-1);
  const remembered = rememberedDriver(db);
  // As docker has it of an image without files.
  if (top === undefined) return { Name: remembered?.driver ?? '', Data: {} };
  if (remembered === undefined)
    throw new MicaError('FAILED_PRECONDITION', `${name} has no unpacked layers in this store`);
  const { driver } = await chooseDriver(db);
  await using snapshots = await openSnapshotter(db, new Leases(db), driver);
  return snapshots.inspect(top.chainId);
}
