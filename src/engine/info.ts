import { arch, release } from 'node:os';
import { gzipInflater } from '../io/inflate.ts';
import { LayerRows } from '../snapshot/layer-rows.ts';
import { migrationOf } from '../snapshot/migration.ts';
import type { WaitingRemovals } from '../snapshot/waiting.ts';
import { betterDrivers, driversOnRequest } from '../snapshot/drivers/index.ts';
import { hostPlatform, type Platform } from '../oci/platform.ts';
import { features } from '../sys/features.ts';
import { inUserNamespace } from '../sys/userns.ts';
import type { Context } from './context.ts';
import { VERSION } from './version.ts';

export interface EngineInfo {
  readonly version: string;
  readonly root: string;
  readonly driver: string;
  readonly driverReason: string;
  /** What the driver tells of what it works on. */
  readonly driverStatus: Readonly<Record<string, string>>;
  /** Each driver that would be taken before it, and why it is not, or what would make it the store's. */
  readonly rejected: readonly { readonly driver: string; readonly reason: string }[];
  /** Drivers that are only taken when asked for. */
  readonly onRequest: readonly string[];
  readonly platform: Platform;
  readonly kernel: string;
  /** What inflates gzip, and why nothing faster does. */
  readonly inflater: { readonly name: string; readonly reason: string | undefined };
  readonly features: Readonly<Record<string, boolean | string>>;
  readonly images: number;
  readonly layers: number;
  readonly rootless: boolean;
  /** The driver that an unfinished migration is to. */
  readonly migratingTo: string | undefined;
  /** Removed layers that are not gone: what they lie in cannot be reached. */
  readonly waiting: readonly WaitingRemovals[];
}

/** @see Engine.info */
export async function info(context: Context): Promise<EngineInfo> {
  const { db, choice, layers } = await context.readableStore();
  const { kernel, fileSystems, maxUserNamespaces } = features();
  return {
    version: VERSION,
    root: db.root,
    driver: choice.driver.name,
    driverReason: choice.reason,
    driverStatus: (await choice.driver.status?.()) ?? {},
    // They are tried in the store.
    rejected: db.readonly ? [] : await betterDrivers(db, choice.driver.name),
    onRequest: driversOnRequest().filter((name) => name !== choice.driver.name),
    platform: hostPlatform(),
    kernel: kernel || `${release()} (${process.platform})`,
    inflater: gzipInflater(),
    features: {
      overlay: fileSystems.has('overlay'),
      erofs: fileSystems.has('erofs'),
      userNamespaces: maxUserNamespaces > 0,
      inUserNamespace: inUserNamespace(),
      node: process.versions.node,
      architecture: arch(),
    },
    images: db.get<{ count: number }>('select count(*) as count from image')!.count,
    layers: new LayerRows(db)
      .all()
      .filter(({ state, driver }) => state === 'ready' && driver === choice.driver.name).length,
    migratingTo: migrationOf(db)?.driver,
    waiting: layers.waiting,
    rootless: process.getuid?.() !== 0 || inUserNamespace(),
  };
}
