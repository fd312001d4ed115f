import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { ContainerStore } from '../../container/container.ts';
import type { StepInputs } from '../../db/build-steps.ts';
import type { Lease } from '../../db/leases.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Bind, Tmpfs } from '../../runtime/spec/options.ts';
import { fromNode } from '../../sys/errno.ts';
import { performMounts } from '../../sys/mount.ts';
import type { BuildSecret } from '../builder.ts';
import type { Mount } from '../dockerfile/mount.ts';
import { type Place, shown, wrong } from '../dockerfile/failure.ts';
import { copySelected } from '../draft/copy-files.ts';
import { digestDraft } from '../draft/digest.ts';
import { LayerDraft } from '../draft/draft.ts';
import { materialise } from '../draft/materialise.ts';
import { directoryTree } from '../files/directory.ts';
import { resolveIn } from '../files/resolve.ts';
import { clean, leadsOut, select } from '../files/select.ts';
import { type SourceTree, toByteString, toText } from '../files/source-tree.ts';
import { nothingIgnored } from '../pattern/ignore.ts';
import { openCache } from './caches.ts';
import { temporaryTree } from './temporary-tree.ts';

/** What the mounts of a RUN need of the build. */
export interface MountEnvironment {
  readonly store: ContainerStore;
  readonly lease: Lease;
  readonly context: SourceTree;
  /** Of this step; empty, and removed afterwards. */
  readonly directory: string;
  /** By id. */
  readonly secrets: Readonly<Record<string, BuildSecret>>;
  readonly workdir: string;
  readonly place: Place;
  /** Name of the snapshot of a stage or image. */
  snapshotOf(from: string): Promise<string>;
  /** A directory that was named as a context; `undefined`: it is a stage or image. */
  directoryOf(from: string): Promise<SourceTree | undefined>;
}

/** What a container gets for its mounts. */
export interface OpenMounts extends AsyncDisposable {
  readonly binds: readonly Bind[];
  readonly tmpfs: readonly Tmpfs[];
  readonly env: readonly string[];
}

/** What the mounts bring along, as far as the result may depend on it. */
export async function mountInputs(
  mounts: readonly Mount[],
  environment: MountEnvironment,
  options: Abortable,
): Promise<StepInputs> {
  const inputs: [string, string][] = [];
  for (const mount of mounts) {
    const name = `the mount ${mount.type === 'secret' ? mount.id : mount.target}`;
    inputs.push([name, JSON.stringify(mount)]);
    if (mount.type !== 'bind') continue;
    const tree = await treeOf(mount, environment);
    if (tree === undefined)
      inputs.push([`${name} from`, await environment.snapshotOf(mount.from!)]);
    else
      for (const [path, value] of await digestDraft(draftOf(mount, tree, environment), options))
        inputs.push([`${name}: ${toText(path)}`, value]);
  }
  return inputs.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

type BindMount = Extract<Mount, { type: 'bind' }>;

/** The context that a bind shows; `undefined`: it shows a stage or image. */
const treeOf = async (
  { from }: Pick<BindMount, 'from'>,
  environment: MountEnvironment,
): Promise<SourceTree | undefined> =>
  from === undefined ? environment.context : await environment.directoryOf(from);

/** What of a context is mounted, as it would be copied to `/it`. */
function draftOf(
  { source }: Pick<BindMount, 'source'>,
  context: SourceTree,
  { place }: MountEnvironment,
): LayerDraft {
  if (leadsOut(source.replace(/^\/+/, '')))
    throw wrong(place, `--mount: ${shown(source)} leads out of ${context.name}`);
  const [selected] = select(context, clean(toByteString(source)));
  if (selected === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `${place.file}:${place.line}: ${context.name} has no ${shown(source)} (or .dockerignore leaves it out)`,
    );
  const draft = new LayerDraft(NOTHING);
  const copying = {
    draft,
    source: context,
    owner: undefined,
    mode: undefined,
    exclude: nothingIgnored,
    series: '',
  };
  copySelected(copying, { ...selected, name: 'it' }, { path: 'it', isDirectory: false });
  return draft;
}

const NOTHING: SourceTree = {
  name: 'nothing',
  lstat: () => undefined,
  names: () => [],
  async *read() {},
};

/** Makes the mounts ready; they stay until they are disposed of. */
export async function openMounts(
  mounts: readonly Mount[],
  environment: MountEnvironment,
  { signal }: Abortable,
): Promise<OpenMounts> {
  await using undo = new AsyncDisposableStack();
  const opened = { binds: [] as Bind[], tmpfs: [] as Tmpfs[], env: [] as string[] };
  const secrets = new Secrets(join(environment.directory, 'secrets'), environment);
  for (const [at, mount] of mounts.entries()) {
    const own = join(environment.directory, `mount-${at}`);
    if (mount.type === 'tmpfs') opened.tmpfs.push(tmpfsOf(mount, environment));
    else if (mount.type === 'secret') await secrets.add(mount, opened, undo);
    else {
      const path =
        mount.type === 'bind'
          ? await bindSource(mount, own, environment, undo, signal)
          : await cacheSource(mount, own, environment, undo, signal);
      const readonly = mount.type === 'bind' ? !mount.writable : mount.readonly;
      opened.binds.push({ source: path, target: targetOf(mount.target, environment), readonly });
    }
  }
  const owned = undo.move();
  return { ...opened, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const targetOf = (target: string, { workdir }: MountEnvironment): string =>
  posix.resolve('/', workdir, target);

const tmpfsOf = (
  { target, size }: Extract<Mount, { type: 'tmpfs' }>,
  environment: MountEnvironment,
): Tmpfs => ({
  target: targetOf(target, environment),
  options: ['exec', ...(size === undefined ? [] : [`size=${size}`])],
});

/** Files of the context are copied: what a command does to them reaches nobody, and it sees no more than COPY would. */
async function bindSource(
  mount: Pick<BindMount, 'from' | 'source'>,
  own: string,
  environment: MountEnvironment,
  undo: AsyncDisposableStack,
  signal: AbortSignal | undefined,
): Promise<string> {
  const tree = await treeOf(mount, environment);
  if (tree === undefined)
    return await placeIn(await environment.snapshotOf(mount.from!), mount, environment, undo);
  await materialise(draftOf(mount, tree, environment), own, { signal });
  return join(own, 'it');
}

async function placeIn(
  snapshot: string,
  { source, from }: { readonly source: string; readonly from: string | undefined },
  { store, place }: MountEnvironment,
  undo: AsyncDisposableStack,
): Promise<string> {
  const { directory } = undo.use(await temporaryTree(store, snapshot));
  const tree = directoryTree(directory.rootfs, from ?? '');
  const at = resolveIn(tree, toByteString(source));
  if (tree.lstat(at) === undefined)
    throw new MicaError(
      'NOT_FOUND',
      `${place.file}:${place.line}: ${from} has no ${shown(source)}`,
    );
  return at === '' ? directory.rootfs : `${directory.rootfs}/${toText(at)}`;
}

async function cacheSource(
  mount: Extract<Mount, { type: 'cache' }>,
  own: string,
  environment: MountEnvironment,
  undo: AsyncDisposableStack,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { store, lease } = environment;
  const cache = undo.use(await openCache(store.db, lease, mount, signal));
  if (cache.isNew && mount.from !== undefined) {
    const { copyTree } = await import('../../fs/copy.ts');
    await using first = new AsyncDisposableStack();
    const { from, source } = mount;
    const found = await bindSource({ from, source }, own, environment, first, signal);
    await copyTree(found, cache.path, { signal });
  }
  return cache.path;
}

type SecretMount = Extract<Mount, { type: 'secret' }>;

/** Secrets as files in memory, for as long as the command runs. */
class Secrets {
  readonly #directory: string;
  readonly #environment: MountEnvironment;
  #count = 0;

  constructor(directory: string, environment: MountEnvironment) {
    this.#directory = directory;
    this.#environment = environment;
  }

  async add(
    mount: SecretMount,
    opened: { readonly binds: Bind[]; readonly env: string[] },
    undo: AsyncDisposableStack,
  ): Promise<void> {
    const content = this.#read(mount);
    if (content === undefined) return;
    const { target, env, mode, uid, gid } = mount;
    if (env !== undefined) opened.env.push(`${env}=${content.toString()}`);
    if (target === undefined) return;
    if (this.#count === 0) await this.#mount(undo);
    const path = join(this.#directory, String(this.#count++));
    writeFileSync(path, content, { mode: 0o600 });
    chownSync(path, uid, gid);
    chmodSync(path, mode);
    opened.binds.push({
      source: path,
      target: targetOf(target, this.#environment),
      readonly: true,
    });
  }

  #read({ id, required }: SecretMount): Buffer | undefined {
    const { secrets, place } = this.#environment;
    const secret = Object.hasOwn(secrets, id) ? secrets[id] : undefined;
    if (secret === undefined && required)
      throw wrong(
        place,
        `the secret ${shown(id)} is required; give it with --secret id=${id},src=FILE`,
      );
    if (secret === undefined) return undefined;
    try {
      const isFile = typeof secret === 'string';
      if ((isFile ? statSync(secret).size : secret.length) > MAX_SECRET)
        throw new MicaError(
          'INVALID_ARGUMENT',
          `the secret ${id} is larger than ${MAX_SECRET} bytes`,
        );
      return isFile ? readFileSync(secret) : Buffer.from(secret);
    } catch (error) {
      throw fromNode(error);
    }
  }

  async #mount(undo: AsyncDisposableStack): Promise<void> {
    mkdirSync(this.#directory, { mode: 0o700 });
    const memory = {
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['mode=0700', 'nosuid', 'nodev', 'noexec'],
    };
    undo.use(await performMounts([memory], this.#directory));
  }
}

/** As BuildKit's. In bytes. */
const MAX_SECRET = 500 * 1024;
