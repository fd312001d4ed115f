import type { Database } from '../db/database.ts';
import { getMeta } from '../db/meta.ts';
import { MicaError } from '../errors.ts';
import { isDriverName } from './drivers/candidates.ts';
import { migrationOf } from './migration.ts';

/**
 * Refuses a store that has layers of another driver than its own, except those that an unfinished
 * migration makes and nothing stands on yet: nobody would remove them, and nothing could be mounted
 * that stands on them.
 *
 * @throws FAILED_PRECONDITION with what to do
 */
export function refuseForeignLayers(db: Database): void {
  const own = getMeta(db, 'driver');
  if (own === undefined) return;
  const [found] = db.all<{ driver: string; layers: number; used: number }>(
    `select driver, count(*) as layers, sum(used) as used
       from (select driver, id in (select layer from snapshot) as used from layer
               where state in ('built', 'ready', 'active') and driver <> ?)
       where used or driver <> ? group by driver order by used desc`,
    own,
    migrationOf(db)?.driver ?? '',
  );
  if (found === undefined) return;
  const { driver, layers, used } = found;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `the store has storage driver ${own}, and ${layers === 1 ? 'a layer' : `${layers} layers`} of ${driver}${used > 0 ? ', on which snapshots stand' : ''}; ${adviceFor(driver, own, used > 0)}`,
  );
}

function adviceFor(driver: string, own: string, isUsed: boolean): string {
  if (!isDriverName(driver))
    return `this version of Mica does not have ${driver}: use one that has it, or pull the images into another --root`;
  return isUsed
    ? 'pull the images into another --root, and remove this one'
    : `\`mica migrate --driver ${own}\` removes them`;
}
