import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performMounts } from '../../sys/mount.ts';
import type { Driver } from '../driver.ts';

const CONTENT = 'readable';

/**
 * Writes on a layer of two files, as the driver will.
 * @param open - the driver of a directory, whose layers are directories `fs`
 * @param scratch - an empty directory of the store's file system
 * @returns why it does not work, for people
 */
export async function unionRefusal(
  open: (layers: string) => Driver,
  scratch: string,
): Promise<string | undefined> {
  const [layers, target] = [join(scratch, 'layers'), join(scratch, 'target')];
  for (const path of [layers, target]) mkdirSync(path);
  await using driver = open(layers);
  const snapshot = { id: '2', kind: 'active', parents: ['1'] } as const;
  await driver.create({ id: '1', kind: 'committed', parents: [] });
  for (const name of ['kept', 'gone']) writeFileSync(join(layers, '1', 'fs', name), CONTENT);
  await driver.create(snapshot);
  await using mounted = await performMounts(await driver.mounts!(snapshot), target);
  const read = readFileSync(join(mounted.target, 'kept'), 'utf8');
  writeFileSync(join(mounted.target, 'written'), read);
  rmSync(join(mounted.target, 'gone'));
  const seen = readdirSync(mounted.target).sort().join(' ');
  const isRight = read === CONTENT && seen === 'kept written';
  return isRight ? undefined : 'it shows something else than was written';
}
