import { statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { changesOf } from '../../container/changes.ts';
import { writeSpec } from '../../container/start.ts';
import type { StepInputs } from '../../db/build-steps.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Changes } from '../../layer/diff/change.ts';
import type { Attachment } from '../../runtime/attachment.ts';
import { kill } from '../../runtime/kill.ts';
import { type MonitorProcess, startMonitor } from '../../runtime/monitor-process.ts';
import type { ContainerOptions } from '../../runtime/spec/options.ts';
import type { ContainerDefaults } from '../../oci/config.ts';
import type { Mount } from '../dockerfile/mount.ts';
import { type Place, shown } from '../dockerfile/failure.ts';
import type { RunCommand } from './command.ts';
import { mountInputs, type MountEnvironment, openMounts } from './mounts.ts';
import { makeMountStubs } from './mount-stubs.ts';
import { temporaryTree, type TemporaryTree } from './temporary-tree.ts';

/** A RUN, with everything that its result depends on. */
export interface RunInput {
  readonly place: Place;
  readonly command: RunCommand;
  /** What the image says about its containers: variables, user, working directory. */
  readonly image: ContainerDefaults;
  /** Arguments in effect: variables, too, unless the image has its own of that name. */
  readonly args: ReadonlyMap<string, string>;
  /** Variables that no result depends on. */
  readonly proxies: ReadonlyMap<string, string>;
  readonly mounts: readonly Mount[];
  readonly network: 'none' | 'host';
  /** `name:address`: more lines of /etc/hosts. */
  readonly hosts: readonly string[];
}

export interface RunOptions extends Abortable {
  readonly onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void;
}

/** What the cache is asked for. */
export async function runInputs(
  input: RunInput,
  environment: MountEnvironment,
  options: Abortable,
): Promise<StepInputs> {
  const { command, image, args, network, hosts, mounts } = input;
  return [
    ['the command', JSON.stringify(command.args)],
    ...(command.script === undefined ? [] : [['the script', command.script.text] as const]),
    ['the user', image.User ?? ''],
    ['the working directory', image.WorkingDir ?? ''],
    ['the network', network],
    ...hosts.map((host) => [`the host ${host}`, ''] as const),
    ...(image.Env ?? []).map((entry) => pair('the variable ', entry)),
    ...[...args].map(([name, value]) => [`the argument ${name}`, value] as const),
    ...(await mountInputs(mounts, environment, options)),
  ];
}

function pair(what: string, entry: string): readonly [string, string] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [what + entry, ''] : [what + entry.slice(0, equals), entry.slice(equals + 1)];
}

/**
 * Runs the command on `parent`, a committed snapshot, and gives what it has changed to `keep`;
 * `undefined`, if that is nothing. Afterwards nothing is left of it.
 * @throws FAILED_PRECONDITION when it ends with another status than 0
 */
export async function run<T>(
  input: RunInput,
  parent: string,
  environment: MountEnvironment,
  options: RunOptions,
  keep: (changes: Changes | undefined) => Promise<T>,
): Promise<T> {
  // It starts while the tree is mounted.
  using monitor = startMonitor();
  const { store } = environment;
  await using tree = await temporaryTree(store, parent);
  await execute(input, tree, { monitor, environment, options });
  tree.unmount();
  const { signal } = options;
  const whole = { id: tree.id, since: tree.since, name: 'of RUN' };
  const changes = await changesOf(store, whole, { signal });
  return await keep(isNothing(changes) ? undefined : changes);
}

/** A root of which nothing but the time has changed is no change. */
const isNothing = ({ list }: Changes): boolean =>
  list.every(
    (change) => change.path === '' && change.kind !== 'deleted' && change.what !== 'itself',
  );

interface Executing {
  readonly monitor: MonitorProcess;
  readonly environment: MountEnvironment;
  readonly options: RunOptions;
}

async function execute(
  input: RunInput,
  { id, directory }: TemporaryTree,
  { monitor, environment, options }: Executing,
): Promise<void> {
  const { store, place } = environment;
  const { signal } = options;
  await using mounts = await openMounts(input.mounts, environment, options);
  const script = await scriptOf(input, environment.directory);
  const binds = [...mounts.binds, ...script];
  const points = [
    ...binds.map(({ source, target }) => ({ target, isFile: !statSync(source).isDirectory() })),
    ...mounts.tmpfs.map(({ target }) => ({ target, isFile: false })),
  ];
  // What is in /dev and /proc is in no image.
  const inside = points.filter(({ target }) => !/^\/(?:dev|proc|sys)(?:\/|$)/.test(target));
  const stubs = makeMountStubs(directory.rootfs, inside);
  const settings = { options: containerOptions(input, { ...mounts, binds }) };
  writeSpec(store, { id, settings }, directory, { image: input.image });
  signal?.throwIfAborted();
  const stop = (): void => void kill(directory.path).catch(() => undefined);
  using started = await monitor.run({
    kind: 'run',
    id,
    directory: directory.path,
    runtime: store.runtime().choice,
    log: LOG,
    durable: false,
    tty: false,
    stdin: 'none',
    attach: true,
  });
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (signal?.aborted) stop();
    await ended(started, input, place, options);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  stubs.remove();
}

/** What a command says is shown, not kept. */
const LOG = { maxSize: 64 * 1024 };

async function ended(
  started: Attachment,
  { command }: RunInput,
  { file, line }: Place,
  { onOutput, signal }: RunOptions,
): Promise<void> {
  for await (const { stream, data } of started.output) onOutput(stream, data);
  const { exitCode, oomKilled } = await started.exit;
  signal?.throwIfAborted();
  if (exitCode === 0) return;
  throw new MicaError(
    'FAILED_PRECONDITION',
    `${file}:${line}: RUN ${shown(command.args.at(-1)!)} ended with status ${exitCode}${oomKilled ? ', out of memory' : ''}`,
  );
}

const HOSTNAME = 'build';

function containerOptions(
  { command, args, proxies, image, network, hosts }: RunInput,
  { binds, tmpfs, env }: Pick<Awaited<ReturnType<typeof openMounts>>, 'binds' | 'tmpfs' | 'env'>,
): ContainerOptions {
  const own = new Set((image.Env ?? []).map((entry) => entry.split('=', 1)[0]));
  const asked = [...proxies, ...args].filter(([name]) => !own.has(name));
  return {
    entrypoint: command.args,
    env: [...asked.map(([name, value]) => `${name}=${value}`), ...env],
    network,
    hosts,
    hostname: HOSTNAME,
    binds,
    tmpfs,
  };
}

async function scriptOf(
  { command }: RunInput,
  directory: string,
): Promise<{ readonly source: string; readonly target: string; readonly readonly: true }[]> {
  if (command.script === undefined) return [];
  const source = join(directory, 'script');
  await writeFile(source, command.script.text, { mode: 0o755 });
  return [{ source, target: command.script.path, readonly: true }];
}
