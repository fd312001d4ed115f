import { containerOf } from '../../container/container.ts';
import { directoryOf } from '../../container/directory.ts';
import { finish } from '../../container/remove.ts';
import { start as startContainer } from '../../container/start.ts';
import { getContainer } from '../../db/containers.ts';
import { startMonitor } from '../../runtime/monitor-process.ts';
import { holdWhenFree } from '../../sys/alive.ts';
import type { Context } from '../context.ts';
import type { StartedContainer, StartOptions } from './containers.ts';
import { exitCommand } from './exit-command.ts';
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
  const { attended } = directoryOf(store.db.root, id);
  if (attach) held.use(await holdWhenFree(attended));
  const tty = settings.options.tty ?? false;
  const stdin = !settings.interactive ? 'none' : attach ? 'once' : 'open';
  const started = await startContainer(store, container, {
    monitor,
    image: config.config ?? {},
    stdio: { tty, stdin: tty && settings.interactive ? 'open' : stdin, size, attach },
    exitCommand: exitCommand(store.db.root, id),
  });
  const attending = held.move();
  return Object.assign(started, {
    async settle() {
      using _ = attending;
      await finish(store, container);
    },
  });
}
