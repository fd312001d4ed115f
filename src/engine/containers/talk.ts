import { containerOf } from '../../container/container.ts';
import { hostnameOf } from '../../container/start.ts';
import { getContainer } from '../../db/containers.ts';
import { MicaError } from '../../errors.ts';
import { Root } from '../../fs/root.ts';
import { attach as attachTo } from '../../runtime/attach.ts';
import type { Attachment } from '../../runtime/attachment.ts';
import { type LogEntry, type LogQuery, readLog } from '../../runtime/log/read-log.ts';
import { type MonitorProcess, startMonitor, type Started } from '../../runtime/monitor-process.ts';
import { type ContainerProcess, processesOf } from '../../runtime/processes.ts';
import { execProcessOf } from '../../runtime/spec/process.ts';
import { formatSpec } from '../../runtime/spec/spec.ts';
import type { Context } from '../context.ts';
import type { ContainerInfo, ExecRequest } from './containers.ts';
import { get, imageOfContainer } from './find.ts';
import { containerStore } from './store.ts';

/** @see Containers.attach */
export async function attach(context: Context, name: string): Promise<Attachment> {
  const { directory } = await get(context, name);
  return await attachTo(directory);
}

/** @see Containers.exec */
export async function exec(
  context: Context,
  name: string,
  { monitor: given, stdin = false, attach: attached = true, ...process }: ExecRequest,
): Promise<Started> {
  using monitor: MonitorProcess = given ?? startMonitor();
  const store = await containerStore(context);
  const container = await get(context, name);
  using root = new Root(`/proc/${pidOf(container)}/root`);
  const { host, choice } = store.runtime();
  const { id, settings } = container;
  const image = imageOfContainer(store.db, containerOf(getContainer(store.db, id))).config.config;
  const { options } = settings;
  const input = { image: image ?? {}, options, hostname: hostnameOf(id, options), host };
  const tty = process.tty ?? false;
  return await monitor.exec({
    kind: 'exec',
    id,
    directory: container.directory,
    runtime: choice,
    process: formatSpec(execProcessOf(root, input, process)),
    tty,
    stdin: stdin ? (tty ? 'open' : 'once') : 'none',
    size: process.consoleSize,
    attach: attached,
  });
}

function pidOf({ state, name }: ContainerInfo): number {
  if (state.status === 'running') return state.process.pid;
  throw new MicaError('FAILED_PRECONDITION', `container ${name} is not running: ${state.status}`);
}

/** @see Containers.logs */
export async function* logs(
  context: Context,
  name: string,
  query?: LogQuery,
): AsyncGenerator<LogEntry> {
  const { directory } = await get(context, name);
  yield* readLog(directory, query);
}

/** @see Containers.processes */
export async function processes(
  context: Context,
  name: string,
): Promise<readonly ContainerProcess[]> {
  const container = await get(context, name);
  const { state } = container;
  return processesOf(state.status === 'paused' ? state.process.pid : pidOf(container));
}
