import { isCode } from '../errors.ts';
import type { EngineOptions } from '../engine/config.ts';
import { enterUserNamespace, needsUserNamespace } from '../sys/userns.ts';

/** The command was executed again where it can work; that one has said everything. */
export class Delegated extends Error {
  override readonly name: string = 'Delegated';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode} in the user namespace`);
    this.exitCode = exitCode;
  }
}

/** Runs `argv` in this user's namespace, as its root, which is how configuration knows that it is not the machine's. */
export const runInNamespace = (argv: readonly string[]): Promise<number> =>
  enterUserNamespace(['/usr/bin/env', 'MICA_ROOTLESS=1', ...argv]);

export interface StoreUse {
  /** The command gives the store this driver. */
  readonly becomes?: string;
}

/**
 * Without root, a store whose layers belong to many users is written and read in a user namespace:
 * executes this very command line again there, also where there is no store yet: whatever makes one
 * decides about its driver. Where there is no namespace to be had, a new store does without (driver
 * `tar`).
 *
 * @throws Delegated when that was done; FAILED_PRECONDITION when an existing store needs it in vain
 */
export async function enterWhereNeeded(
  options: EngineOptions,
  { becomes }: StoreUse = {},
): Promise<void> {
  if (!needsUserNamespace()) return;
  const { driver, root } = await (await import('../engine/config.ts')).resolveConfig(options);
  const known = await driverOfStore(root);
  if ([known ?? driver, becomes ?? 'tar'].every(needsNoUsers)) return;
  try {
    const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    throw new Delegated(await runInNamespace(again));
  } catch (error) {
    const impossible = isCode(error, 'FAILED_PRECONDITION') || isCode(error, 'NOT_FOUND');
    if (!impossible || known !== undefined || driver !== undefined) throw error;
  }
}

/** Whether files of such layers all belong to who runs this. */
const needsNoUsers = (driver: string | undefined): boolean =>
  driver === 'tar' || driver === 'windowsfilter';

async function driverOfStore(root: string): Promise<string | undefined> {
  const { openDatabase } = await import('../db/open.ts');
  const { rememberedDriver } = await import('../snapshot/drivers/index.ts');
  using db = await openDatabase(root, { readonly: true });
  return rememberedDriver(db)?.driver;
}
