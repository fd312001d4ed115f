import { directoryOf } from '../container/directory.ts';
import { containersOf, type ContainerRow } from '../db/containers.ts';
import { deleteImage, findImage } from '../db/images.ts';
import { deleteReference, deleteRepoDigest, putReference } from '../db/references.ts';
import { MicaError } from '../errors.ts';
import { chainIds, type Digest } from '../oci/digest.ts';
import { parseImageConfig } from '../oci/config.ts';
import { formatReference, parseReference, repositoryOf, withDefaults } from '../oci/reference.ts';
import { readState } from '../runtime/state.ts';
import type { Context, Store } from './context.ts';
import { type RemoveOptions, type RemoveResult, findByName } from './images.ts';
import { forgetEnded } from './mounts.ts';

/** @see Engine.tag */
export async function tag(context: Context, name: string, target: string): Promise<void> {
  const reference = withDefaults(parseReference(target));
  if (reference.digest !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `tag ${target}: a tag cannot have a digest; leave out "@${reference.digest}"`,
    );
  const { db, content } = await context.store();
  db.transaction(
    () => {
      const { record, manifest } = findByName(db, name);
      const chosen =
        record.manifests.find(({ descriptor }) => descriptor.digest === manifest) ??
        record.manifests[0]!;
      const { descriptor } = chosen;
      putReference(db, formatReference(reference), {
        image: record.id,
        manifest: descriptor.digest,
        target: descriptor,
      });
    },
    { durable: true },
  );
  await content.project();
}

/**
 * As docker: with --force an image loses its names under any container, but by its ID only where
 * none runs.
 * @see Engine.remove
 */
export async function remove(
  context: Context,
  name: string,
  { force = false }: RemoveOptions = {},
): Promise<RemoveResult> {
  const store = await context.store();
  await forgetEnded(store);
  await refuseRunning(store.db, name);
  const result = store.db.transaction(() => removeName(store, name, force), { durable: true });
  await store.content.project();
  return result;
}

function removeName({ db }: Store, name: string, force: boolean): RemoveResult {
  const { record } = findByName(db, name);
  const chosen = chosenNames(
    name,
    record.references.map((reference) => reference.name),
  );
  const untagged: string[] = [];
  if (chosen === undefined) {
    const repositories = new Set(
      record.references.map((reference) => reference.name.replace(/:[^/:]*$/, '')),
    );
    if (repositories.size > 1 && !force)
      throw new MicaError(
        'CONFLICT',
        `cannot remove ${name}: it is named in several repositories (${[...repositories].join(', ')}); remove those names, or use --force`,
      );
  }
  refuseMounted(db, record.id, name);
  const users = containersOf(db, record.id);
  const isLast = chosen === undefined || record.references.length === chosen.length;
  if (users.length > 0 && isLast && !force) throw inUse(name, users);
  for (const reference of chosen ?? record.references.map((one) => one.name)) {
    deleteReference(db, reference);
    untagged.push(reference);
  }
  const left = findImage(db, record.id)!;
  if (left.references.length > 0) return { untagged, deleted: [] };
  // It has lost its names, and is there for as long as they are.
  if (users.length > 0) return { untagged, deleted: [] };
  for (const digest of left.repoDigests) {
    deleteRepoDigest(db, digest);
    untagged.push(`${digest.repository}@${digest.digest}`);
  }
  deleteImage(db, record.id);
  const chain = chainIds(parseImageConfig(record.config).rootfs.diff_ids);
  return { untagged: [...new Set(untagged)], deleted: [record.id, ...goneWith(db, chain)] };
}

/** The one reference that `name` is; `undefined` when it is an ID or a digest, and so means all of them. */
function chosenNames(name: string, references: readonly string[]): string[] | undefined {
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(name)) return undefined;
  try {
    const reference = withDefaults(parseReference(name));
    const full = formatReference({ ...reference, digest: undefined });
    if (reference.digest === undefined) return references.includes(full) ? [full] : undefined;
    const repository = repositoryOf(reference);
    const inRepository = references.filter((one) => one.startsWith(`${repository}:`));
    return inRepository.length === references.length ? undefined : inRepository;
  } catch {
    return undefined;
  }
}

/** Chain identities that no other image has, topmost first, as docker prints them. */
function goneWith(db: Store['db'], chain: readonly Digest[]): Digest[] {
  const others = db.all<{ config: Uint8Array }>('select config from image');
  const kept = new Set(
    others.flatMap(({ config }) => chainIds(parseImageConfig(config).rootfs.diff_ids)) as Digest[],
  );
  return chain.filter((id) => !kept.has(id)).toReversed();
}

/** @throws CONFLICT when `name` means the image itself and a container of it runs */
async function refuseRunning(db: Store['db'], name: string): Promise<void> {
  const { record } = findByName(db, name);
  const references = record.references.map((reference) => reference.name);
  if (references.length > 0 && chosenNames(name, references) !== undefined) return;
  for (const user of containersOf(db, record.id)) {
    const { status } = await readState(directoryOf(db.root, user.id).path);
    if (status !== 'starting' && status !== 'running' && status !== 'paused') continue;
    throw new MicaError(
      'CONFLICT',
      `cannot remove ${name}, not even with --force: container ${labelOf(user)} is ${status}; \`mica rm -f ${user.name}\` first, or remove the image's names one by one`,
    );
  }
}

const labelOf = ({ id, name }: ContainerRow): string => `${name} (${id.slice(0, 12)})`;

const inUse = (name: string, users: readonly ContainerRow[]): MicaError =>
  new MicaError(
    'CONFLICT',
    `cannot remove ${name}: ${users.map((one) => `container ${labelOf(one)}`).join(', ')} ${users.length > 1 ? 'use' : 'uses'} it; \`mica rm ${users.map((one) => one.name).join(' ')}\` first, or take the names alone with --force`,
  );

function refuseMounted(db: Store['db'], id: Digest, name: string): void {
  const mount = db.get<{ target: string }>('select target from mount where image = ? limit 1', id);
  if (mount !== undefined)
    throw new MicaError(
      'CONFLICT',
      `cannot remove ${name}: it is mounted on ${mount.target}; \`mica umount ${mount.target}\` first`,
    );
}
