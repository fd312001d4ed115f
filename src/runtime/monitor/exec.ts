import { rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { ExecOrder } from '../order.ts';
import { runtimeOf } from '../runtime.ts';
import { failureOf } from './failure-of.ts';
import { exitCodeOf } from './reaper.ts';
import { Session } from './session.ts';

/** Runs a process in a container, to its end. Nothing of it is kept. */
export async function runExec(order: ExecOrder, link: Socket): Promise<void> {
  const { directory, id } = order;
  const runtime = runtimeOf(order.runtime);
  const session = new Session(order);
  session.clients.add(link, order.attach);
  const description = join(directory, `.exec-${process.pid}.json`);
  try {
    // It may hold secrets in its environment.
    writeFileSync(description, order.process, { mode: 0o600 });
    const pid = await session.start(directory, (start) => runtime.exec(id, description, start));
    rmSync(description, { force: true });
    session.clients.tell({ type: 'started', pid });
    const exitCode = exitCodeOf(await session.watch(() => undefined));
    session.clients.end({ type: 'exited', exitCode, oomKilled: false });
  } catch (error) {
    session.clients.end({ type: 'failed', failure: failureOf(error) });
  } finally {
    rmSync(description, { force: true });
  }
}
