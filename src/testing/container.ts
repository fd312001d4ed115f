import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { ContainerDefaults } from '../oci/config.ts';
import { findRuntime } from '../runtime/find.ts';
import { startMonitor, type Started } from '../runtime/monitor-process.ts';
import type { RunOrder } from '../runtime/order.ts';
import { writeEtcFiles } from '../runtime/spec/etc-files.ts';
import { hostFacts } from '../runtime/spec/host.ts';
import type { ContainerOptions } from '../runtime/spec/options.ts';
import { type ExecOptions, execProcessOf } from '../runtime/spec/process.ts';
import { isWatched } from '../runtime/state.ts';
import { formatSpec, type SpecInput, specOf } from '../runtime/spec/spec.ts';
import { Root } from '../fs/root.ts';
import { searchPath } from './need.ts';

const APPLETS =
  'sh true false ip cat echo id ls sleep dd head seq stty tty yes kill touch env pwd nc grep mount unshare wc mkdir mknod';

/** A small root file system: busybox under the names of what tests run. */
export function makeRootfs(root: string, files: Readonly<Record<string, string>> = {}): void {
  mkdirSync(join(root, 'bin'), { recursive: true });
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const name of APPLETS.split(' ')) symlinkSync('busybox', join(root, 'bin', name));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

export interface TestContainer extends AsyncDisposable {
  readonly id: string;
  /** Of the container: state, log, bundle. */
  readonly directory: string;
  readonly rootfs: string;
  start(order?: Partial<RunOrder>): Promise<Started>;
  exec(options: ExecOptions, order?: { readonly stdin?: 'none' | 'once' }): Promise<Started>;
  /** Starts it, and reads its output to the end. */
  run(order?: Partial<RunOrder>): Promise<Ran>;
  /** Ends what is left of it. */
  remove(): Promise<void>;
}

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface TestContainerOptions {
  readonly runtime?: string;
  readonly image?: ContainerDefaults;
  readonly options?: ContainerOptions;
  readonly files?: Readonly<Record<string, string>>;
}

/** A container over a tree of its own. */
export async function makeContainer(settings: TestContainerOptions = {}): Promise<TestContainer> {
  const { runtime: name, image = {}, options = {}, files = {} } = settings;
  // Programs read more into paths than there is.
  const home = await mkdtempDisposable(join(tmpdir(), 'container a,b:c-'));
  const [directory, rootfs] = [join(home.path, 'c'), join(home.path, 'rootfs')];
  mkdirSync(directory, { mode: 0o700 });
  makeRootfs(rootfs, files);
  const id = `test-${process.pid}-${performance.now().toString(36).replace('.', '')}`;
  const host = hostFacts();
  const where = { searchPath, state: join(home.path, 'runtime') };
  const runtime = findRuntime({ ...where, ...(name && { runtime: name }) }, host);
  const common = { id, directory, runtime };
  const input = (): SpecInput => {
    const etc = writeEtcFiles(join(directory, 'etc'), 'box', options);
    return { id, rootfs, files: etc, host, hostname: 'box', image, options };
  };
  const remove = async (): Promise<void> => {
    using monitor = startMonitor();
    await monitor.remove({ kind: 'remove', ...common });
  };
  const start: TestContainer['start'] = async (order = {}) => {
    using monitor = startMonitor();
    writeFileSync(join(directory, 'config.json'), formatSpec(specOf(input())));
    const stdio = { tty: options.tty ?? false, stdin: 'none', attach: true } as const;
    return await monitor.run({
      kind: 'run',
      ...common,
      ...stdio,
      log: {},
      durable: false,
      ...order,
    });
  };
  return {
    id,
    directory,
    rootfs,
    start,
    async exec(exec, { stdin = 'none' } = {}) {
      using monitor = startMonitor();
      using root = new Root(rootfs);
      const described = formatSpec(execProcessOf(root, input(), exec));
      const stdio = { tty: exec.tty ?? false, stdin, attach: true };
      return await monitor.exec({ kind: 'exec', ...common, ...stdio, process: described });
    },
    async run(order = {}) {
      return await collect(await start(order));
    },
    remove,
    async [Symbol.asyncDispose]() {
      await remove();
      // Its monitor may still be writing down what we did to it.
      while (isWatched(directory)) await setTimeout(2);
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Reads what a process says, to its end. */
export async function collect(attached: Started): Promise<Ran> {
  using _ = attached;
  const parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, data } of attached.output) parts[stream].push(data);
  const { exitCode } = await attached.exit;
  const text = (all: Buffer[]): string => Buffer.concat(all).toString();
  return { stdout: text(parts.stdout), stderr: text(parts.stderr), exitCode };
}
