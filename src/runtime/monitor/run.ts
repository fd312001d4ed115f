import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { bootId } from '../../db/boot.ts';
import { MicaError } from '../../errors.ts';
import { tryLock } from '../../sys/alive.ts';
import { type Ending, identify } from '../../sys/process.ts';
import { cgroupsOf, wasOomKilled } from '../cgroup/cgroup.ts';
import { StartError } from '../failure.ts';
import type { Afterwards, RunOrder } from '../order.ts';
import { runtimeOf } from '../runtime.ts';
import { type ContainerState, type Exited, readState, RUN_FILES, type Running } from '../state.ts';
import type { FromMonitor } from '../frame.ts';
import { failureOf } from './failure-of.ts';
import { LogFile } from '../log/log-file.ts';
import { exitCodeOf } from './reaper.ts';
import { openRecordFile, type RecordFile } from './record.ts';
import { Session } from './session.ts';

/** Runs a container to its end: its log and its record are written then, and everybody was told. */
export async function runContainer(order: RunOrder, link: Socket): Promise<void> {
  const { directory, id } = order;
  const session = new Session(order);
  session.clients.add(link, order.attach);
  const before = await readState(directory);
  const lock = tryLock(join(directory, RUN_FILES.lock));
  if (lock === undefined) {
    const error = new MicaError('CONFLICT', `container ${id} is running already`);
    session.clients.end({ type: 'failed', failure: failureOf(error) });
    return;
  }
  let server: Server | undefined;
  let last: FromMonitor;
  try {
    server = await serve(directory, session);
    using record = openRecordFile(join(directory, RUN_FILES.state));
    last = await run(order, session, record, before);
  } catch (error) {
    last = { type: 'failed', failure: failureOf(error) };
  }
  server?.close();
  lock[Symbol.dispose]();
  // Now: who hears of it may start the container again at once.
  session.clients.end(last);
  if (order.afterwards !== undefined) await finish(order.afterwards, link);
}

/** Who attends the container does what remains, and then leaves; most often there is nothing to do here. */
async function finish({ mark, command }: Afterwards, link: Socket): Promise<void> {
  link.resume();
  if (!link.closed) await new Promise((resolve) => link.once('close', resolve));
  if (existsSync(mark)) execute(command);
}

async function run(
  order: RunOrder,
  session: Session,
  record: RecordFile,
  before: ContainerState,
): Promise<FromMonitor> {
  const { directory, id, durable } = order;
  const runtime = runtimeOf(order.runtime);
  // Left by a monitor that was killed.
  if (before.status === 'dead') await runtime.delete(id, directory);
  // What cannot be logged does not start.
  const log = new LogFile(join(directory, RUN_FILES.log), order.log);
  const boot = bootId();
  record.write({ status: 'starting', boot }, false);
  let running: Running;
  try {
    const pid = await session.start(directory, (start) => runtime.run(id, start));
    running = runningOf(pid, id);
    record.write({ status: 'running', boot, ...running }, false);
  } catch (error) {
    await runtime.delete(id, directory).catch(() => undefined);
    record.write({ status: 'exited', ...neverStarted(error) }, durable);
    throw error;
  }
  session.clients.tell({ type: 'started', pid: running.process.pid });
  const exited = await watch(order, session, log, running);
  record.write({ status: 'exited', ...exited }, durable);
  return { type: 'exited', exitCode: exited.exitCode, oomKilled: exited.oomKilled };
}

async function watch(
  { directory, id, runtime }: RunOrder,
  session: Session,
  log: LogFile,
  { cgroups, startedAt }: Running,
): Promise<Exited> {
  const ending = await session.watch((stream, data) => log.write(stream, data));
  log.close();
  const finishedAt = new Date().toISOString();
  const oomKilled = wasKilled(ending) && wasOomKilled(cgroups);
  // Whatever is wrong with that: how the container ended is known, and told.
  await runtimeOf(runtime)
    .forget(id, directory)
    .catch(() => undefined);
  return {
    exitCode: exitCodeOf(ending),
    oomKilled,
    startedAt,
    finishedAt,
    ...(log.lost > 0 && { logLost: log.lost }),
  };
}

const SIGKILL = 9;
/** A shell that waited for what was killed tells it with its own exit code. */
const wasKilled = (ending: Ending): boolean => exitCodeOf(ending) === 128 + SIGKILL;

const runningOf = (pid: number, id: string): Running => ({
  // It may have ended already.
  process: identify(pid) ?? { pid, started: '' },
  cgroups: cgroupsOf(id),
  startedAt: new Date().toISOString(),
});

const neverStarted = (error: unknown): Exited => ({
  exitCode: error instanceof StartError ? error.exitCode : 125,
  oomKilled: false,
  finishedAt: new Date().toISOString(),
  error: error instanceof Error ? error.message : String(error),
});

async function serve(directory: string, session: Session): Promise<Server> {
  // Left behind by a monitor that was killed.
  rmSync(join(directory, RUN_FILES.socket), { force: true });
  const home = openSync(directory, 'r');
  const server = createServer((socket) => session.clients.add(socket, false));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  // By descriptor: the name of a socket has room for 107 bytes. Closing the server removes it.
  server.listen(`/proc/self/fd/${home}/${RUN_FILES.socket}`, resolve);
  server.once('close', () => closeSync(home));
  await promise;
  return server;
}

function execute([program, ...args]: readonly string[]): void {
  const child = spawn(program!, args, { detached: true, stdio: 'ignore', cwd: '/' });
  // Nobody is there to be told; whoever looks next finds the container as it is.
  child.once('error', () => undefined);
  child.unref();
}
