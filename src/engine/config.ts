import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import * as v from 'valibot';
import { MicaError } from '../errors.ts';
import type { RetryPolicy, Timeouts } from '../registry/options.ts';
import { fromNode } from '../sys/errno.ts';
import { temporaryRuntime } from '../sys/temporary-runtime.ts';

/** How an engine is opened. Everything is optional; two engines on two roots live in one process. */
export interface EngineOptions {
  /** The store's directory. Default: `/var/lib/mica` for root, `$XDG_DATA_HOME/mica` for others. */
  readonly root?: string | undefined;
  /** Default: what the store was made with; a new one takes the best that this machine can do. */
  readonly driver?: string | undefined;
  /** Docker's `storage-opts`: `erofs.directio=true`. */
  readonly driverOptions?: readonly string[] | undefined;
  /** A configuration file that must exist. Default: `/etc/mica/config.json`, `$XDG_CONFIG_HOME/mica/config.json`. */
  readonly configFile?: string | undefined;
  /** Layers downloaded at once. */
  readonly maxConcurrentDownloads?: number | undefined;
  /** Mirrors of Docker Hub, tried in order before it. */
  readonly registryMirrors?: readonly string[] | undefined;
  /** `host[:port]` spoken to over plain HTTP or with an unknown certificate. Loopback needs no entry. */
  readonly insecureRegistries?: readonly string[] | undefined;
  /**
   * What happens to the compressed blob of a layer that is kept otherwise, too. Default: what the
   * store was told by `setLayerBlobs`, else `keep`.
   */
  readonly layerBlobs?: LayerBlobsPolicy | undefined;
  /** What runs containers: `crun`, `runc`, or the path of what takes the same commands. */
  readonly runtime?: string | undefined;
  /** How long registries may take. */
  readonly timeouts?: Timeouts | undefined;
  /** How often registries are asked again. */
  readonly retry?: RetryPolicy | undefined;
}

/**
 *  - `keep`: it stays, and a push sends it as it is
 *  - `recreate`: it goes where it was proven that it can be made again from the layer's tar
 *  - `refetch`: it goes where it is known from where it can be fetched again
 */
export type LayerBlobsPolicy = (typeof LAYER_BLOBS)[number];
const LAYER_BLOBS = ['keep', 'recreate', 'refetch'] as const;

export const isLayerBlobsPolicy = (text: string | undefined): text is LayerBlobsPolicy =>
  LAYER_BLOBS.some((policy) => policy === text);

export interface EngineConfig {
  /** Absolute. */
  readonly root: string;
  readonly driver: string | undefined;
  readonly driverOptions: readonly string[];
  readonly maxConcurrentDownloads: number;
  readonly registryMirrors: readonly string[];
  readonly insecureRegistries: readonly string[];
  readonly layerBlobs: LayerBlobsPolicy | undefined;
  /** Seconds since 1970: when what is made here counts as made. */
  readonly sourceDateEpoch: number | undefined;
  readonly runtime: string | undefined;
  /** Where the OCI runtime and its helpers are looked for. */
  readonly searchPath: string;
  /** Of the OCI runtime; it ends with the machine. */
  readonly runtimeState: string;
  readonly timeouts: Timeouts | undefined;
  readonly retry: RetryPolicy | undefined;
}

/** Docker downloads 3 at once; with unpacking beside it, a fourth keeps the wire busy while small layers settle. */
const MAX_CONCURRENT_DOWNLOADS = 4;

/** The configuration file: Docker's own keys where Docker has one. */
const File = v.strictObject({
  'data-root': v.optional(v.pipe(v.string(), v.nonEmpty())),
  'storage-driver': v.optional(v.string()),
  'storage-opts': v.optional(v.array(v.string())),
  'default-runtime': v.optional(v.pipe(v.string(), v.nonEmpty())),
  'registry-mirrors': v.optional(v.array(v.string())),
  'insecure-registries': v.optional(v.array(v.string())),
  'max-concurrent-downloads': v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)),
  ),
  'layer-blobs': v.optional(v.picklist(LAYER_BLOBS)),
});
type File = v.InferOutput<typeof File>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Precedence: call (or flag) > environment > file > default. Decided here and nowhere else. */
export async function resolveConfig(
  options: EngineOptions = {},
  environment: Environment = process.env,
): Promise<EngineConfig> {
  const file = readConfigFile(
    options.configFile ?? (environment['MICA_CONFIG'] || undefined),
    environment,
  );
  const root =
    options.root ?? (environment['MICA_ROOT'] || file['data-root']) ?? defaultRoot(environment);
  // A shell's variable that is not set; it would be the directory one happens to stand in.
  if (root === '') throw new MicaError('INVALID_ARGUMENT', 'the root of the store is empty');
  const driver = options.driver ?? (environment['MICA_STORAGE_DRIVER'] || file['storage-driver']);
  if (driver !== undefined)
    (await import('../snapshot/drivers/candidates.ts')).refuseUnknown(driver);
  return {
    root: resolve(root),
    driver,
    driverOptions: options.driverOptions ?? file['storage-opts'] ?? [],
    maxConcurrentDownloads:
      options.maxConcurrentDownloads ??
      file['max-concurrent-downloads'] ??
      MAX_CONCURRENT_DOWNLOADS,
    registryMirrors: options.registryMirrors ?? file['registry-mirrors'] ?? [],
    insecureRegistries: options.insecureRegistries ?? file['insecure-registries'] ?? [],
    layerBlobs: options.layerBlobs ?? file['layer-blobs'],
    sourceDateEpoch: parseEpoch(environment['SOURCE_DATE_EPOCH']),
    runtime: options.runtime ?? file['default-runtime'],
    searchPath: environment['PATH'] ?? DEFAULT_PATH,
    runtimeState: join(runtimeDirectory(environment), 'runtime'),
    timeouts: options.timeouts,
    retry: options.retry,
  };
}

/** The last second that a date of four digits can be. */
const LAST_SECOND = 253_402_300_799;

/** @see https://reproducible-builds.org/specs/source-date-epoch/ */
function parseEpoch(text = ''): number | undefined {
  if (text === '') return undefined;
  if (/^\d{1,12}$/.test(text) && Number(text) <= LAST_SECOND) return Number(text);
  throw new MicaError(
    'INVALID_ARGUMENT',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text.slice(0, 40))}, not a number of seconds since 1970`,
  );
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const isRoot = (): boolean => process.getuid?.() === 0;

function defaultRoot(environment: Environment): string {
  if (process.platform === 'win32')
    return join(environment['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), 'mica');
  if (isRoot() && environment['MICA_ROOTLESS'] === undefined) return '/var/lib/mica';
  const data = environment['XDG_DATA_HOME'];
  return join(data && isAbsolute(data) ? data : join(homedir(), '.local', 'share'), 'mica');
}

/** Below `/run`, of this user. */
function runtimeDirectory(environment: Environment): string {
  if (isRoot() && environment['MICA_ROOTLESS'] === undefined) return '/run/mica';
  const own = environment['XDG_RUNTIME_DIR'];
  return own && isAbsolute(own) ? join(own, 'mica') : temporaryRuntime();
}

function defaultFile(environment: Environment): string {
  if (isRoot() && environment['MICA_ROOTLESS'] === undefined) return '/etc/mica/config.json';
  const config = environment['XDG_CONFIG_HOME'];
  return join(
    config && isAbsolute(config) ? config : join(homedir(), '.config'),
    'mica',
    'config.json',
  );
}

/** At once: the promises of files take longer to load than it takes to read it. */
function readConfigFile(named: string | undefined, environment: Environment): File {
  const path = named ?? defaultFile(environment);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (named === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new MicaError(
      'INVALID_ARGUMENT',
      `configuration file: ${(fromNode(error) as Error).message}`,
      { cause: error },
    );
  }
  return parseConfigFile(path, text);
}

function parseConfigFile(path: string, text: string): File {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new MicaError(
      'INVALID_ARGUMENT',
      `configuration file ${path} is not JSON: ${(error as Error).message}`,
      { cause: error },
    );
  }
  const parsed = v.safeParse(File, document);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const key = issue.path?.map(({ key: part }) => String(part)).join('.') ?? '(top level)';
  throw new MicaError(
    'INVALID_ARGUMENT',
    `configuration file ${path}: key ${key}: ${issue.message}`,
  );
}

/** What the environment has under a name that the user gave (`-e NAME`). */
export const environmentValue = (
  name: string,
  environment: Environment = process.env,
): string | undefined => environment[name];
