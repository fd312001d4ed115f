import { mkdirSync } from 'node:fs';
import type { Database } from '../../db/database.ts';
import { getMeta, setMeta } from '../../db/meta.ts';
import { MicaError } from '../../errors.ts';
import { fromNode } from '../../sys/errno.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import type { Driver, LayerForm, Pack } from '../driver.ts';
import { LayerRows, layersDirectory } from '../layer-rows.ts';
import { CANDIDATES, type DriverParts, isAutomatic, refuseUnknown } from './candidates.ts';
import { parseDriverOptions } from './options.ts';
import { sweepTrials } from './trial.ts';

export interface DriverChoice {
  readonly driver: Driver;
  /** Why this one, for people. */
  readonly reason: string;
}

export interface RejectedDriver {
  readonly driver: string;
  readonly reason: string;
}

export interface ChooseDriverOptions {
  /** Default: the best. */
  readonly wanted?: string | undefined;
  /** How a driver that keeps tars makes one of what was written. Without it nothing can be committed there. */
  readonly pack?: Pack | undefined;
  /** Docker's `storage-opts`: `erofs.directio=true`. */
  readonly options?: readonly string[] | undefined;
}

/** What the store was made with; `undefined` before its first layer. */
export interface RememberedDriver {
  readonly driver: string;
  readonly form: LayerForm;
}

export function rememberedDriver(db: Database): RememberedDriver | undefined {
  const [driver, form] = [getMeta(db, 'driver'), getMeta(db, 'form')];
  return driver === undefined ? undefined : { driver, form: form as LayerForm };
}

/**
 * The driver of the store: the one that it was made with; in a new store `wanted`, else the best
 * that this machine, user and file system can do. A store keeps what is chosen first.
 *
 * @throws INVALID_ARGUMENT for a driver that does not exist · FAILED_PRECONDITION for one that does
 * not work here, or is not the store's
 */
export async function chooseDriver(
  db: Database,
  { wanted, pack, options }: ChooseDriverOptions = {},
): Promise<DriverChoice> {
  if (wanted !== undefined) refuseUnknown(wanted);
  const parts = partsOf(db, { pack, options });
  const layers = layersDirectory(db.root);
  if (!db.readonly) sweepTrials(layers);
  const remembered = rememberedDriver(db);
  if (remembered !== undefined) return open(layers, { ...parts, ...remembered, wanted });
  makeDirectory(layers);
  const choice = await best(layers, { ...parts, wanted });
  const kept = db.transaction(() => remember(db, choice.driver));
  return kept.driver === choice.driver.name && kept.form === choice.driver.form
    ? choice
    : open(layers, { ...parts, ...kept, wanted });
}

/**
 * The driver that a store may change to.
 * @throws INVALID_ARGUMENT for a driver that does not exist · FAILED_PRECONDITION for one that does not work here
 */
export async function driverFor(
  db: Database,
  wanted: string,
  options: readonly string[] = [],
): Promise<Driver> {
  refuseUnknown(wanted);
  return (await best(layersDirectory(db.root), { ...partsOf(db, { options }), wanted })).driver;
}

/** The driver that a layer was made with; `undefined` when this version does not have it. */
export async function driverOf(
  db: Database,
  { driver, form }: RememberedDriver,
): Promise<Driver | undefined> {
  const candidate = CANDIDATES.find(({ name }) => name === driver);
  return candidate?.load(layersDirectory(db.root), { ...partsOf(db), form });
}

/**
 * Why a new store would not have this driver, by what a machine can do now: each that would be taken
 * before it, with what speaks against it; of one that would work, what to do to have it.
 */
export async function betterDrivers(db: Database, driver: string): Promise<RejectedDriver[]> {
  const automatic = CANDIDATES.filter(isAutomatic);
  const at = automatic.findIndex(({ name }) => name === driver);
  const found: RejectedDriver[] = [];
  // What had to be asked for was taken for reasons of its own.
  for (const candidate of automatic.slice(0, Math.max(at, 0))) {
    const refusal = await candidate.refusal(layersDirectory(db.root), parseDriverOptions([]));
    const advice = `it works here; \`mica migrate --driver ${candidate.name}\` gives it to the store`;
    found.push({ driver: candidate.name, reason: refusal ?? advice });
  }
  return found;
}

/** Drivers that are only taken when somebody asks for them. */
export const driversOnRequest = (): string[] =>
  CANDIDATES.filter((candidate) => !isAutomatic(candidate)).map(({ name }) => name);

/** The best driver that nothing speaks against, or `wanted` if nothing does. */
async function best(layers: string, { wanted, ...parts }: Wanted): Promise<DriverChoice> {
  for (const candidate of CANDIDATES) {
    if (wanted === undefined ? !isAutomatic(candidate) : candidate.name !== wanted) continue;
    const refusal = await candidate.refusal(layers, parts.options);
    if (refusal === undefined) {
      const reason = wanted === undefined ? candidate.merit : 'asked for';
      const form = inUserNamespace() ? 'userxattr' : 'overlay';
      return { driver: await candidate.load(layers, { ...parts, form }), reason };
    }
    if (wanted !== undefined)
      throw new MicaError('FAILED_PRECONDITION', `storage driver ${wanted}: ${refusal}`);
  }
  throw new MicaError('INTERNAL', 'no storage driver works here');
}

function partsOf(
  db: Database,
  { pack = refusePacking, options = [] }: ChooseDriverOptions = {},
): Omit<DriverParts, 'form'> {
  const rows = new LayerRows(db);
  return {
    pack,
    digestOf: (id) => rows.indexDigest(Number(id)),
    options: parseDriverOptions(options),
  };
}

type Wanted = Omit<DriverParts, 'form'> & { readonly wanted: string | undefined };

const refusePacking: Pack = async (_, directory) => {
  throw new MicaError(
    'FAILED_PRECONDITION',
    `layer ${directory} cannot be packed: the store was opened without a packer`,
  );
};

/** What another process chose a moment earlier, if one did. */
function remember(db: Database, { name, form }: Driver): RememberedDriver {
  const before = rememberedDriver(db);
  if (before !== undefined) return before;
  setMeta(db, 'driver', name);
  setMeta(db, 'form', form);
  return { driver: name, form };
}

async function open(
  layers: string,
  { driver, wanted, ...parts }: Wanted & RememberedDriver,
): Promise<DriverChoice> {
  if (wanted !== undefined && wanted !== driver)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `the store has its layers in the form of storage driver ${driver}, not ${wanted}; leave --storage-driver out, choose another --root for ${wanted}, or change the store with \`mica migrate --driver ${wanted}\``,
    );
  const candidate = CANDIDATES.find(({ name }) => name === driver);
  if (candidate === undefined)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `the store was made with storage driver ${driver}, which this version of Mica does not have; use a newer version, or another --root`,
    );
  const reason = 'the layers of the store are in its form';
  return { driver: await candidate.load(layers, parts), reason };
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw fromNode(error);
  }
}
