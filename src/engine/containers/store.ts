import type { ContainerStore } from '../../container/container.ts';
import { findRuntime } from '../../runtime/find.ts';
import { hostFacts } from '../../runtime/spec/host.ts';
import type { Context } from '../context.ts';

type Runtime = ReturnType<ContainerStore['runtime']>;

/** The store as containers see it. */
export async function containerStore(
  context: Context,
  { toRead = false }: { readonly toRead?: boolean } = {},
): Promise<ContainerStore> {
  const { db, leases, snapshots, choice } = await (toRead
    ? context.readableStore()
    : context.store());
  const { runtime: wanted, searchPath, runtimeState } = context.config;
  let known: Runtime | undefined;
  const find = (): Runtime => {
    const host = hostFacts();
    const options = { runtime: wanted, searchPath, state: runtimeState };
    return { host, choice: findRuntime(options, host) };
  };
  return { db, leases, snapshots, driver: choice.driver, runtime: () => (known ??= find()) };
}
