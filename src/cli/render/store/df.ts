import type { StoreUsage } from '../../../engine/space/usage.ts';
import type { Digest } from '../../../oci/digest.ts';
import { shares } from '../../../explain/ledger.ts';
import { escape } from '../escape.ts';
import { imageName, shortId } from '../name.ts';
import { size } from '../quantity.ts';
import { type Column, table } from '../table.ts';

const IMAGES: readonly Column[] = [
  { head: 'IMAGE' },
  { head: 'IMAGE ID' },
  { head: 'SIZE', right: true },
  { head: 'EXCLUSIVE', right: true },
  { head: 'SHARED', right: true },
];

/** Every byte of the store, attributed; `verbose`: blob by blob and layer by layer, too. */
export function renderUsage(usage: StoreUsage, verbose: boolean): string {
  const { images, partials, containers, migration, total, removals = [], unmeasured = [] } = usage;
  const metadata = removals.reduce((rest, { bytes }) => rest - bytes, usage.metadata);
  const names = new Map(images.map((image) => [image.id, imageName(image)]));
  const rows = images.map((image) => [
    imageName(image),
    shortId(image.id),
    size(image.total),
    size(image.exclusive),
    size(image.shared),
  ]);
  const parts = shares(usage).flatMap(({ images: users, bytes }) => {
    if (users.length > 0) return [[size(bytes), `used by ${namesOf(users, names)}`]];
    const unused = bytes - (migration?.bytes ?? 0);
    return unused > 0 ? [[size(unused), 'used by no image']] : [];
  });
  if (migration !== undefined)
    parts.push([
      size(migration.bytes),
      `made for storage driver ${escape(migration.driver)}, to which the store has not changed yet (mica migrate)`,
    ]);
  const partialBytes = partials.reduce((sum, { bytes }) => sum + bytes, 0);
  if (partials.length > 0)
    parts.push([size(partialBytes), `partial downloads (${partials.length})`]);
  parts.push(
    ...containers.map(({ name, bytes }) => [size(bytes), `container ${name}`]),
    [size(metadata), 'all else: database, locks, layers being unpacked'],
    ...removals.map(({ driver, layers, bytes }) => [
      size(bytes),
      `${layers === 1 ? 'a layer' : `${layers} layers`} of ${escape(driver)} being removed, or waiting for it (mica info says for what)`,
    ]),
    ...unmeasured.map(({ layers, reason }) => [
      '?',
      `${layers === 1 ? 'a layer' : `${layers} layers`} out of reach: ${escape(reason)}`,
    ]),
    [size(total), 'in all'],
  );
  const sections = [
    ...(images.length > 0 ? [table(IMAGES, rows)] : []),
    table([{ head: 'ON DISK', right: true }, { head: 'WHAT' }], parts),
    ...(verbose ? details(usage, names) : []),
    freed(usage),
  ];
  return sections.join('\n');
}

function freed({ reclaimable, reclaimableLater, partials }: StoreUsage): string {
  const later = `${size(reclaimableLater)} more once it is a day old: somebody may be about to use it`;
  const stale = partials.some(({ active }) => !active) ? ', and stale downloads by mica prune' : '';
  return `Would be freed: ${size(reclaimable)} by mica gc${reclaimableLater > 0 ? ` (${later})` : ''}${stale}\n`;
}

function details({ blobs, layers, partials }: StoreUsage, names: Names): string[] {
  const users = { head: 'USED BY' };
  return [
    table(
      [{ head: 'BLOB' }, { head: 'KIND' }, { head: 'SIZE', right: true }, users],
      blobs.map(({ digest, kind, bytes, usedBy }) => [
        shortId(digest),
        kind,
        size(bytes),
        namesOf(usedBy, names) || '-',
      ]),
    ),
    table(
      [{ head: 'LAYER' }, { head: 'SIZE', right: true }, users, { head: 'DIRECTORY' }],
      layers.map(({ diffId, directory, bytes, usedBy }) => [
        shortId(diffId),
        size(bytes),
        namesOf(usedBy, names) || '-',
        directory,
      ]),
    ),
    ...(partials.length === 0
      ? []
      : [
          table(
            [{ head: 'PARTIAL DOWNLOAD' }, { head: 'SIZE', right: true }, { head: 'STATE' }],
            partials.map(({ digest, bytes, active }) => [
              shortId(digest),
              size(bytes),
              active ? 'in progress' : 'interrupted',
            ]),
          ),
        ]),
  ];
}

type Names = ReadonlyMap<Digest, string>;

/** Users named in a line; of more it says how many. */
const MAX_NAMES = 4;

function namesOf(users: readonly Digest[], names: Names): string {
  const shown = users.slice(0, MAX_NAMES).map((id) => names.get(id) ?? shortId(id));
  const others = users.length - shown.length;
  return shown.join(', ') + (others > 0 ? ` and ${others} more` : '');
}
