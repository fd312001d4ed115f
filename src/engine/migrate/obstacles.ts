import { snapshotKeyOf } from '../../container/container.ts';
import { listContainers } from '../../db/containers.ts';
import type { Database } from '../../db/database.ts';
import { listImages } from '../../db/images.ts';
import { mountTargets } from '../../db/mounts.ts';
import type { Driver } from '../../snapshot/driver.ts';
import { layerDirectory } from '../../snapshot/layer-rows.ts';
import { staysMountedFrom } from '../../snapshot/mounted.ts';
import { type SnapshotRow, SnapshotRows } from '../../snapshot/snapshot-rows.ts';
import type { Store } from '../context.ts';
import { forgetEnded } from '../mounts.ts';
import type { Step, Target } from './plan.ts';
import { tooDeep } from './too-deep.ts';

/** What keeps the store from changing to the other driver now, for people. */
export async function obstaclesTo(
  store: Store,
  { driver: to }: Target,
  steps: readonly Step[],
): Promise<string[]> {
  await forgetEnded(store);
  const from = store.choice.driver;
  const containers = containersBySnapshot(store.db);
  const snapshots = new SnapshotRows(store.db).list();
  const [carried, lost] = [[] as SnapshotRow[], [] as SnapshotRow[]];
  for (const row of snapshots)
    if (row.kind === 'active') (carriesOver(from, to, row) ? carried : lost).push(row);
  return [
    ...viewsInTheWay(
      store,
      snapshots.filter(({ kind }) => kind === 'view'),
    ),
    ...(await Promise.all(carried.map((row) => mountInTheWay(store, row)))).flat(),
    ...containersInTheWay(lost, containers, from, to),
    ...writableInTheWay(
      lost.filter(({ name }) => !containers.has(name)),
      from,
      to,
    ),
    ...steps.flatMap(nothingToMakeItFrom),
    ...tooDeep(to, snapshots, steps, () => listImages(store.db)),
  ];
}

/** Both keep what is written in the same directory, in the same words. */
function carriesOver(from: Driver, to: Driver, { layer, kind }: SnapshotRow): boolean {
  const [mine, other] = [from, to].map((driver) =>
    driver.upper?.({ id: String(layer), kind, parents: [] }),
  );
  return mine !== undefined && mine.path === other?.path && mine.whiteouts === other.whiteouts;
}

/** A view's mount names directories of layers, which go. */
function viewsInTheWay({ db }: Store, views: readonly SnapshotRow[]): string[] {
  if (views.length === 0) return [];
  const targets = mountTargets(db);
  const names = views.map(({ name }) => targets.get(name) ?? name);
  return [`views are mounted (${names.join(', ')}); end them first, with \`mica umount --all\``];
}

/** Names of containers by those of their writable snapshots. */
const containersBySnapshot = (db: Database): Map<string, string> =>
  new Map(listContainers(db).map(({ id, name }) => [snapshotKeyOf(id), name]));

function containersInTheWay(
  rows: readonly SnapshotRow[],
  containers: ReadonlyMap<string, string>,
  from: Driver,
  to: Driver,
): string[] {
  const names = rows.flatMap(({ name }) => containers.get(name) ?? []);
  if (names.length === 0) return [];
  return [
    `${to.name} cannot take over what containers wrote with ${from.name} (${names.join(', ')}); remove them first (\`mica rm ${names.join(' ')}\`), and before that \`mica commit\` what is to be kept`,
  ];
}

function writableInTheWay(rows: readonly SnapshotRow[], from: Driver, to: Driver): string[] {
  if (rows.length === 0) return [];
  const names = rows.map(({ name }) => name).join(', ');
  return [
    `${to.name} cannot take over what was written with ${from.name} (snapshots ${names}); commit or remove these first`,
  ];
}

async function mountInTheWay({ db }: Store, { name, layer }: SnapshotRow): Promise<string[]> {
  const target = await staysMountedFrom(layerDirectory(db, layer), { unused: 'counts' });
  return target === undefined
    ? []
    : [`snapshot ${name} is mounted on ${target}; unmount that first`];
}

function nothingToMakeItFrom({ state, key, diffId, old }: Step): string[] {
  if (state !== 'none') return [];
  return [
    `layer ${diffId ?? key} (${old.directory}) has neither its tar nor its blob in the store, and no image says where to fetch it; remove what stands on it, or pull that again`,
  ];
}
