import { rmSync, statSync, writeFileSync } from 'node:fs';
import { insertContainer } from '../db/containers.ts';
import { isCode } from '../errors.ts';
import type { Moment } from '../layer/diff/whole-tree.ts';
import type { ChainId, Digest } from '../oci/digest.ts';
import { fromNode } from '../sys/errno.ts';
import {
  type Container,
  type ContainerSettings,
  type ContainerStore,
  rowOf,
  snapshotKeyOf,
} from './container.ts';
import { type ContainerDirectory, newDirectory } from './directory.ts';
import { checkName, randomName } from './names.ts';

export interface CreateInput {
  readonly image: Digest;
  /** Topmost layer of the image; `undefined`: it has none. */
  readonly top: ChainId | undefined;
  /** Default: one by chance. */
  readonly name?: string | undefined;
  readonly settings: ContainerSettings;
}

/**
 * Gives an image a writable layer and a name. Nothing is mounted.
 *
 * The directory is there first and goes last: one without a row, that nobody holds the lock of, is
 * what a crash has left, and {@link sweep} removes it with its layer.
 */
export async function create(store: ContainerStore, input: CreateInput): Promise<Container> {
  const { db, snapshots } = store;
  const { settings, image } = input;
  const wanted = input.name === undefined ? undefined : checkName(input.name);
  const { id, directory, lock } = await newDirectory(db.root);
  using _ = lock;
  try {
    const { maxSize } = settings;
    await snapshots.prepare(snapshotKeyOf(id), input.top ?? '', { maxSize });
    const since = momentOf(directory);
    for (;;) {
      const name = wanted ?? randomName();
      const container: Container = { id, name, image, settings, since, createdAt: new Date() };
      try {
        // What is removed at its end need not survive a power failure.
        insertContainer(db, rowOf(container), { durable: settings.autoRemove !== true });
        return container;
      } catch (error) {
        if (wanted !== undefined || !isCode(error, 'ALREADY_EXISTS')) throw error;
      }
    }
  } catch (error) {
    await snapshots.remove(snapshotKeyOf(id)).catch(() => undefined);
    rmSync(directory.path, { recursive: true, force: true });
    throw error;
  }
}

/** The time by the file system's own clock, which is a little behind the processor's. */
export function momentOf({ unsettled }: Pick<ContainerDirectory, 'unsettled'>): Moment {
  try {
    writeFileSync(unsettled, '');
    const { ctimeNs } = statSync(unsettled, { bigint: true });
    rmSync(unsettled);
    return { seconds: Number(ctimeNs / 10n ** 9n), nanoseconds: Number(ctimeNs % 10n ** 9n) };
  } catch (error) {
    throw fromNode(error);
  }
}
