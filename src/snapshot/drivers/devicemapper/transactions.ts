import { MicaError } from '../../../errors.ts';
import { errnoOf } from '../../../sys/errno.ts';
import type { Intent, State, Volume } from './state.ts';

/** What a pool is told; each call is on its disk when it returns. */
export interface Pool {
  /** Number of its last transaction. */
  transaction(): number;
  /** An empty device. */
  create(device: number): void;
  /** A device with the content of `origin`. */
  snapshot(device: number, origin: number): void;
  /** @throws NOT_FOUND (ENODATA) where there is none · FAILED_PRECONDITION (EBUSY) while it is active */
  delete(device: number): void;
  /** Counts a transaction. */
  advance(from: number, to: number): void;
}

/** Where the state is kept. */
export type Save = (state: State) => void;

export interface WantedVolume extends Omit<Extract<Intent, { kind: 'create' }>, 'kind' | 'device'> {
  /** Device that it is a snapshot of. Absent: it is empty. */
  readonly origin?: number;
}

/** Device ids have 24 bits. */
const MAX_DEVICE = 2 ** 24 - 1;

/**
 * Makes a thin device: intent, device, number of the transaction, outcome. Killed in between, {@link settle}
 * takes back what nobody was told of.
 */
export function createVolume(
  pool: Pool,
  known: State,
  save: Save,
  { origin, ...wanted }: WantedVolume,
): State {
  const state = withoutIntent(pool, known, save);
  const device = freeDevice(state);
  const intent = { kind: 'create', device, ...wanted } as const;
  const next = device === MAX_DEVICE ? 1 : device + 1;
  const open: State = { ...state, nextDevice: next, intent };
  save(open);
  if (origin === undefined) pool.create(device);
  else pool.snapshot(device, origin);
  pool.advance(state.transaction, state.transaction + 1);
  return saved(save, outcome(open, intent));
}

/** Deletes a thin device that nobody has any more. @throws FAILED_PRECONDITION (EBUSY) while it is active */
export function deleteVolume(pool: Pool, known: State, save: Save, device: number): State {
  const state = withoutIntent(pool, known, save);
  const intent = { kind: 'delete', device } as const;
  const open: State = { ...state, intent };
  save(open);
  deleteIfThere(pool, device);
  pool.advance(state.transaction, state.transaction + 1);
  return saved(save, outcome(open, intent));
}

/**
 * Holds the state against the pool after a crash, and completes or takes back what was under way.
 * @throws DATA_LOSS when the two are not of one history
 */
export function settle(pool: Pool, state: State, save: Save): State {
  const { intent, transaction } = state;
  const there = pool.transaction();
  if (intent !== undefined && there === transaction + 1) return saved(save, outcome(state, intent));
  if (there !== transaction)
    throw new MicaError(
      'DATA_LOSS',
      `the thin pool is at transaction ${there}, the store at ${transaction}: one of them was replaced, restored, or used by somebody else; restore the other from the same time, or use another --root`,
    );
  if (intent === undefined) return state;
  // The device may be there or not, and nobody knows it under a name. A deletion is done anew, later.
  if (intent.kind === 'create') deleteIfThere(pool, intent.device);
  return saved(save, without(state));
}

/** One intent at a time: the second would forget what became of the first. */
const withoutIntent = (pool: Pool, state: State, save: Save): State =>
  state.intent === undefined ? state : settle(pool, state, save);

/** What the state is when an intent has happened. */
function outcome(state: State, intent: Intent): State {
  const done = { ...without(state), transaction: state.transaction + 1 };
  if (intent.kind === 'delete')
    return { ...done, removed: state.removed.filter(({ device }) => device !== intent.device) };
  const { device, sectors, layer, start } = intent;
  const volume: Volume = { device, sectors, ...(start && { start }), isNew: true };
  if (layer === undefined) return { ...done, base: volume };
  return { ...done, layers: { ...state.layers, [layer]: volume } };
}

function without(state: State): State {
  const { intent: _, ...rest } = state;
  return rest;
}

function saved(save: Save, state: State): State {
  save(state);
  return state;
}

function deleteIfThere(pool: Pool, device: number): void {
  try {
    pool.delete(device);
  } catch (error) {
    if (errnoOf(error) !== 'ENODATA') throw error;
  }
}

/** Numbers come back only when all were used once. */
function freeDevice({ nextDevice, base, layers, removed }: State): number {
  const volumes = [...Object.values(layers), ...removed, ...(base ? [base] : [])];
  const used = new Set(volumes.map(({ device }) => device));
  for (let tries = 0, device = nextDevice; tries < MAX_DEVICE; tries++) {
    if (!used.has(device)) return device;
    device = device === MAX_DEVICE ? 1 : device + 1;
  }
  throw new MicaError('RESOURCE_EXHAUSTED', 'all 16777215 device ids of the thin pool are in use');
}
