import { MicaError } from '../../../errors.ts';
import { deviceStatus, messageDevice, type StatusOptions } from '../../../sys/device-mapper.ts';
import { errnoOf } from '../../../sys/errno.ts';
import type { Pool } from './transactions.ts';

/** What the kernel says about a thin pool. Data in blocks of the pool, metadata in blocks of 4 KiB. */
export interface PoolStatus {
  readonly transaction: number;
  readonly metadata: Space;
  readonly data: Space;
  /** `rw`, `ro`, `out_of_data_space`; `Fail` when nothing else is known. */
  readonly mode: string;
  readonly needsCheck: boolean;
}

export interface Space {
  readonly used: number;
  readonly total: number;
}

/** @see "Status" in Documentation/admin-guide/device-mapper/thin-provisioning.rst */
export function parsePoolStatus(text: string): PoolStatus {
  const [transaction = '', metadata = '', data = '', , mode = 'Fail', , , check] = text.split(' ');
  const none = { used: 0, total: 0 };
  return {
    transaction: Number(transaction),
    metadata: parseSpace(metadata) ?? none,
    data: parseSpace(data) ?? none,
    mode: parseSpace(data) === undefined ? 'Fail' : mode,
    needsCheck: check === 'needs_check',
  };
}

function parseSpace(text: string): Space | undefined {
  const [, used, total] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  return used === undefined ? undefined : { used: Number(used), total: Number(total) };
}

/** It can be read; nothing in it is made, deleted, or written to a new block. */
export const isReadOnly = ({ mode }: PoolStatus): boolean => mode === 'ro';

/** What one change may need, in blocks: what had no room was taken back, and does not count as used. */
const LAST_METADATA = 16;

const isFullOfMetadata = ({ metadata }: PoolStatus): boolean =>
  metadata.total > 0 && metadata.total - metadata.used < LAST_METADATA;

/** @throws RESOURCE_EXHAUSTED, DATA_LOSS for a pool that takes no writes */
export function refuseUnwritable(status: PoolStatus, name: string): void {
  const { mode, needsCheck, metadata } = status;
  if (mode === 'rw' && !needsCheck) return;
  if (isReadOnly(status) && isFullOfMetadata(status))
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `thin pool ${name}: its metadata is full (${metadata.used} of ${metadata.total} blocks), and it takes nothing until there is room; what is in it can be read: end all containers and mounts of this store, ${needsCheck ? 'check the metadata device (thin_check --clear-needs-check-flag), ' : ''}then make it larger`,
    );
  if (mode === 'out_of_data_space')
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `thin pool ${name}: there is no space left; remove images or containers (mica prune), or make its data device larger`,
    );
  throw new MicaError(
    'DATA_LOSS',
    `thin pool ${name}: it is ${mode === 'rw' ? 'in need of a check' : `in mode ${mode}`}; look at the kernel's log, check its metadata device with thin_check, and repair it with thin_repair`,
  );
}

/**
 * Refuses before a pool is full: what then is written to file systems on it would be lost.
 * @param percent - of data and of metadata that must be free
 * @throws RESOURCE_EXHAUSTED
 */
export function refuseFull(status: PoolStatus, name: string, percent: number): void {
  refuseUnwritable(status, name);
  for (const what of ['data', 'metadata'] as const) {
    const { used, total } = status[what];
    if ((total - used) * 100 >= total * percent) continue;
    throw new MicaError(
      'RESOURCE_EXHAUSTED',
      `thin pool ${name}: ${used} of ${total} blocks of ${what} are used, and less than ${percent} % free (dm.min_free_space); remove images or containers (mica prune), or make its ${what} device larger`,
    );
  }
}

/** @param device - name, or number where it has another's name */
export const statusOfPool = (device: string | number, options: StatusOptions = {}): PoolStatus =>
  parsePoolStatus(deviceStatus(device, options)[0]?.parameters ?? 'Fail');

/** A pool that is active, by its messages. @param name - for people */
export function thinPool(device: string | number, name: string): Pool {
  const tell = (message: string): void => {
    try {
      messageDevice(device, message);
    } catch (error) {
      // A pool that takes no writes takes no messages.
      if (errnoOf(error) === 'EOPNOTSUPP') refuseUnwritable(statusOfPool(device), name);
      throw error;
    }
  };
  return {
    transaction: () => statusOfPool(device, { flushes: false }).transaction,
    create: (id) => tell(`create_thin ${id}`),
    snapshot: (id, origin) => tell(`create_snap ${id} ${origin}`),
    delete: (id) => tell(`delete ${id}`),
    advance: (from, to) => tell(`set_transaction_id ${from} ${to}`),
  };
}
