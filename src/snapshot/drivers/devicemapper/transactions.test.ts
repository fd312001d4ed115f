import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '../../../errors.ts';
import { kernelError } from '../../../sys/errno.ts';
import { newState, type State } from './state.ts';
import { createVolume, deleteVolume, type Pool, settle } from './transactions.ts';

/** A pool and a state file that lose nothing, and a machine that may stop before any of their writes. */
class Machine {
  readonly devices = new Map<number, string>();
  transaction = 0;
  state: State = newState({
    backing: { kind: 'pool', path: '/dev/null' },
    fileSystem: 'ext4',
    baseSize: 65_536,
    transaction: 0,
  });
  /** Writes until it stops. */
  left = Infinity;

  readonly save = (state: State): void => this.#write(() => (this.state = state));
  readonly pool: Pool = {
    transaction: () => this.transaction,
    create: (device) => this.#write(() => this.#make(device, '')),
    snapshot: (device, origin) =>
      this.#write(() => this.#make(device, this.devices.get(origin) ?? assert.fail('no origin'))),
    delete: (device) =>
      this.#write(() => {
        if (!this.devices.delete(device)) throw kernelError(61, 'delete', String(device));
      }),
    advance: (from, to) =>
      this.#write(() => {
        assert.equal(from, this.transaction);
        this.transaction = to;
      }),
  };

  #make(device: number, content: string): void {
    if (this.devices.has(device)) throw kernelError(17, 'create', String(device));
    this.devices.set(device, content);
  }

  #write(change: () => void): void {
    if (this.left-- <= 0) throw STOPPED;
    change();
  }
}

const STOPPED = new Error('the machine stopped');

/** What a store does with its pool, from what was written down. */
const LIFE: readonly ((machine: Machine) => unknown)[] = [
  ({ pool, state, save }) => createVolume(pool, state, save, { sectors: 8 }),
  ({ pool, state, save }) =>
    createVolume(pool, state, save, { sectors: 8, origin: state.base!.device, layer: 'a' }),
  (machine) => {
    const { state, save } = machine;
    const { a, ...layers } = state.layers;
    if (a !== undefined) save({ ...state, layers, removed: [a] });
    const { device } = machine.state.removed[0]!;
    return deleteVolume(machine.pool, machine.state, machine.save, device);
  },
  ({ pool, state, save }) =>
    createVolume(pool, state, save, { sectors: 8, origin: state.base!.device, layer: 'b' }),
];

test('a machine that stops at any write loses nothing and keeps nothing that nobody knows', () => {
  let writes = 0;
  for (let stop = 0; ; stop++) {
    const machine = new Machine();
    machine.left = stop;
    let stopped = false;
    for (const step of LIFE) {
      try {
        step(machine);
      } catch (error) {
        if (error !== STOPPED) throw error;
        stopped = true;
        machine.left = Infinity;
        settle(machine.pool, machine.state, machine.save);
        checkSame(machine);
        // What did not happen is done again.
        if (!happened(machine, step)) step(machine);
      }
      checkSame(machine);
    }
    assert.deepEqual(Object.keys(machine.state.layers), ['b'], `stopped at write ${stop}`);
    if (!stopped) break;
    writes++;
  }
  assert.ok(writes >= 16, `${writes} writes`);
});

function happened({ state }: Machine, step: (machine: Machine) => unknown): boolean {
  const done = [
    state.base !== undefined,
    state.layers['a'] !== undefined,
    state.layers['a'] === undefined && state.removed.length === 0,
    state.layers['b'] !== undefined,
  ];
  return done[LIFE.indexOf(step)]!;
}

function checkSame({ devices, state, transaction }: Machine): void {
  assert.equal(state.intent, undefined);
  assert.equal(state.transaction, transaction);
  const volumes = [...Object.values(state.layers), ...(state.base ? [state.base] : [])];
  const known = volumes.map(({ device }) => device);
  for (const device of known) assert.ok(devices.has(device), `device ${device} is lost`);
  const removed = new Set(state.removed.map(({ device }) => device));
  for (const device of devices.keys())
    assert.ok(known.includes(device) || removed.has(device), `nobody knows ${device}`);
}

test('what a pool was too full to finish is finished before anything else is done', () => {
  const machine = new Machine();
  LIFE[0]!(machine);
  // Made, and not counted.
  machine.left = 2;
  assert.throws(() => LIFE[1]!(machine), STOPPED);
  machine.left = Infinity;
  assert.equal(machine.devices.size, 2);
  LIFE[3]!(machine);
  checkSame(machine);
  assert.deepEqual([machine.devices.size, Object.keys(machine.state.layers)], [2, ['b']]);
});

test('a pool of another time is refused, and nothing is changed', () => {
  for (const transaction of [3, 5, 7]) {
    const machine = new Machine();
    machine.transaction = transaction;
    machine.state = { ...machine.state, transaction: 4 };
    const { state } = machine;
    assert.throws(
      () => settle(machine.pool, state, machine.save),
      (error) => isCode(error, 'DATA_LOSS'),
    );
    assert.equal(machine.state, state);
  }
});

test('device ids are used again after the last one only, and never while they are used', () => {
  const machine = new Machine();
  machine.state = {
    ...machine.state,
    nextDevice: 2 ** 24 - 1,
    base: { device: 1, sectors: 8 },
    removed: [{ device: 2, sectors: 8 }],
  };
  for (const [layer, device] of [
    ['a', 2 ** 24 - 1],
    ['b', 3],
  ] as const) {
    createVolume(machine.pool, machine.state, machine.save, { sectors: 8, layer });
    assert.equal(machine.state.layers[layer]?.device, device);
  }
});
