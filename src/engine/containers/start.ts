import { setTimeout } from 'node:timers/promises';
import { containerOf } from '../../container/container.ts';
import { type ContainerDirectory, directoryOf } from '../../container/directory.ts';
import { finish } from '../../container/remove.ts';
import { start as startContainer } from '../../container/start.ts';
import { getContainer } from '../../db/containers.ts';
import { MicaError } from '../../errors.ts';
import { startMonitor } from '../../runtime/monitor-process.ts';
import { readState } from '../../runtime/state.ts';
import { type HeldLock, tryLock } from '../../sys/alive.ts';
import type { Context } from '../context.ts';
import { afterwards } from './afterwards.ts';
import type { StartedContainer, StartOptions } from './containers.ts';
import { imageOfContainer } from './find.ts';
import { containerStore } from './store.ts';

/** @see Containers.start */
export async function start(
  context: Context,
  name: string,
  { monitor: given, attach = false, size }: StartOptions = {},
): Promise<StartedContainer> {
  using monitor = given ?? startMonitor();
  const store = await containerStore(context);
  const container = containerOf(getContainer(store.db, name));
  const { config } = imageOfContainer(store.db, container);
  const { id, settings } = container;
  using held = new DisposableStack();
  if (attach) held.use(await attend(container.name, directoryOf(store.db.root, id)));
  const tty = settings.options.tty ?? false;
  const stdin = !settings.interactive ? 'none' : attach ? 'once' : 'open';
  const started = await startContainer(store, container, {
    monitor,
    image: config.config ?? {},
    stdio: { tty, stdin: tty && settings.interactive ? 'open' : stdin, size, attach },
    afterwards: afterwards(store.db.root, id),
  });
  const attending = held.move();
  return Object.assign(started, {
    async settle() {
      using _ = attending;
      await finish(store, container);
      // Its monitor waits for us.
      started[Symbol.dispose]();
    },
  });
}

/** Waits for whoever settles what has ended, not for what runs. @throws CONFLICT when it runs already */
async function attend(name: string, { path, attended }: ContainerDirectory): Promise<HeldLock> {
  for (;;) {
    const lock = tryLock(attended);
    if (lock !== undefined) return lock;
    const { status } = await readState(path);
    if (status === 'running' || status === 'paused' || status === 'starting')
      throw new MicaError('CONFLICT', `container ${name} is running already`);
    await setTimeout(10);
  }
}
