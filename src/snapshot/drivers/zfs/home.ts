import { randomBytes } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import { writeAtomic } from '../../../io/atomic.ts';
import { errnoOf, fromNode } from '../../../sys/errno.ts';
import { readMountinfo } from '../../../sys/mountinfo.ts';
import { zfs } from '../../../sys/zfs.ts';
import { isDatasetName } from './dataset-name.ts';

/** What a store remembers of where its datasets are, in `zfs.json` beside its `layers` directory. */
interface Home {
  /** The dataset below which the store's own are, one for each id. */
  readonly dataset: string;
  /** Of the `layers` directory: a copy of the store has another one, and must keep its hands off. */
  readonly inode: string;
}

/** The types that datasets are mounted with. */
const TYPES: ReadonlySet<string> = new Set(['zfs', 'fuse.zfs']);

/**
 * The dataset below which a store's own are: what it remembers, or a new name below `fsname`, where
 * two stores never meet. It is remembered before anything is made.
 * @param fsname - default: the dataset that the store lies on
 */
export function homeOf(layers: string, fsname?: string): string {
  const path = join(dirname(layers), 'zfs.json');
  const known = readHome(path);
  if (known === undefined) return remember(path, layers, fsname);
  if (fsname !== undefined && dirname(known.dataset) !== fsname)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `zfs.fsname=${fsname}: the store has its datasets in ${known.dataset}; leave the option out`,
    );
  if (known.inode !== inodeOf(layers))
    throw new MicaError(
      'FAILED_PRECONDITION',
      `${path}: the datasets in ${known.dataset} belong to the store that this one is a copy of; if it was moved here and the other is gone, set "inode" to "${inodeOf(layers)}" in this file`,
    );
  return known.dataset;
}

/** Why there can be no datasets for layers in `directory`. */
export async function zfsRefusal(
  directory: string,
  { fsname }: { readonly fsname?: string },
): Promise<string | undefined> {
  const above = fsname ?? datasetUnder(directory);
  if (above === undefined) return `${directory} does not lie on ZFS; ${FSNAME_ADVICE}`;
  try {
    await zfs('list', '-H', '-o', 'name', '-t', 'filesystem', above);
    return undefined;
  } catch (error) {
    if (error instanceof MicaError) return error.message;
    throw error;
  }
}

/** The dataset that a directory lies on, if it is on ZFS. */
function datasetUnder(directory: string): string | undefined {
  let real: string;
  try {
    real = realpathSync(directory);
  } catch (error) {
    throw fromNode(error);
  }
  const home = readMountinfo().findLast(
    ({ target }) => real === target || real.startsWith(target === '/' ? '/' : `${target}/`),
  );
  return home !== undefined && TYPES.has(home.type) ? home.source : undefined;
}

function remember(path: string, layers: string, fsname: string | undefined): string {
  const above = fsname ?? datasetUnder(layers);
  if (above === undefined)
    throw new MicaError('FAILED_PRECONDITION', `${layers} does not lie on ZFS; ${FSNAME_ADVICE}`);
  const dataset = `${above}/mica-${randomBytes(6).toString('hex')}`;
  const home: Home = { dataset, inode: inodeOf(layers) };
  writeAtomic(path, `${JSON.stringify(home)}\n`, { mode: 0o600 });
  return dataset;
}

const FSNAME_ADVICE =
  'name the dataset below which those of the store are to be made: `"storage-opts": ["zfs.fsname=POOL/NAME"]` in the configuration file';

function readHome(path: string): Home | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromNode(error);
  }
  try {
    const { dataset, inode } = JSON.parse(text) as Partial<Home>;
    if (typeof dataset === 'string' && isDatasetName(dataset) && typeof inode === 'string')
      return { dataset, inode };
  } catch {}
  throw new MicaError(
    'DATA_LOSS',
    `${path} is damaged: it says which datasets belong to the store; \`zfs list\` shows them, named …/mica-*`,
  );
}

function inodeOf(layers: string): string {
  try {
    return String(statSync(layers, { bigint: true }).ino);
  } catch (error) {
    throw fromNode(error);
  }
}
