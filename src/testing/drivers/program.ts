import type { DriverSuite } from './suite.ts';

/** `.ts` here, `.js` where this is published. */
const EXTENSION = import.meta.url.slice(-3);

/**
 * Statements of a program that begin in a process of its own: they open the store in `root`, which
 * then are `db`, `leases`, `driver`, `layers` and `snapshots`.
 * @param options - `options`: what the environment said of its layers; `marked`: what a driver does is
 * what is interesting (`crash.ts`)
 */
export const openingStatements = (
  { module, name }: Pick<DriverSuite, 'module' | 'name'>,
  root: string,
  { options, marked = false }: { readonly options: readonly string[]; readonly marked?: boolean },
): string => `
  const url = (path) => new URL(path + '${EXTENSION}', ${JSON.stringify(import.meta.url)}).href;
  const { openStore } = await import(url('./store'));
  const { syncStore } = await import(url('../../db/sync'));
  let { holdTree } = await import(url('../../snapshot/trees'));
  let { performMounts } = await import(url('../../sys/mount'));
  const { unpackTar } = await import(url('../unpack-stack'));
  const { file, tarOf, tree } = await import(url('../tree'));
  const { mkdirSync, writeFileSync } = await import('node:fs');
  const root = ${JSON.stringify(root)};
  const { drivers } = await import(${JSON.stringify(module)});
  let suite = drivers.find(({ name }) => name === ${JSON.stringify(name)});
  if (${marked}) {
    const { open } = suite;
    suite = { ...suite, open: async (...of) => allInteresting(await open(...of)) };
    [holdTree, performMounts] = [interesting(holdTree), interesting(performMounts)];
  }
  const store = await openStore(root, suite, ${JSON.stringify(options)});
  const { db, leases, driver, layers, snapshots } = store;
  /** Writes a file into what is mounted. */
  const write = async (mounts, target, name) => {
    mkdirSync(target, { recursive: true });
    await using mounted = await performMounts(mounts, target);
    writeFileSync(target + '/' + name, 'written');
  };`;
