import { MicaError } from '../errors.ts';
import type { ContainerDefaults, ImageConfig } from '../oci/config.ts';
import type { Platform } from '../oci/platform.ts';
import { isStopSignal } from '../oci/stop-signal.ts';
import type { ComposedImage } from './compose.ts';
import type { Image } from './image.ts';
import { mutate } from './mutate.ts';

type Strings = Readonly<Record<string, string>>;

/** What is set and taken away in an image's documents. What is absent stays as it is. */
export interface ConfigPatch {
  readonly env?: Strings | undefined;
  readonly labels?: Strings | undefined;
  /** Of the manifest; an image in Docker's format has none. */
  readonly annotations?: Strings | undefined;
  /** An old command is none of a new entry point's arguments: it goes, unless there is a new one. */
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly stopSignal?: string | undefined;
  /** `80/tcp`. */
  readonly expose?: readonly string[] | undefined;
  readonly volumes?: readonly string[] | undefined;
  readonly author?: string | undefined;
  /** RFC 3339. */
  readonly createdAt?: string | undefined;
  readonly platform?: Platform | undefined;
  /** What is taken away, before anything is set: `user`, `cmd`…, or one of several: `env:PATH`. */
  readonly unset?: readonly string[] | undefined;
}

/** The image with the patch applied; layers and history stay. @throws INVALID_ARGUMENT · FAILED_PRECONDITION */
export function patchImage(image: Image, patch: ConfigPatch): ComposedImage {
  const parts = (patch.unset ?? []).reduce(unset, {
    config: image.config,
    annotations: image.manifest.annotations ?? {},
  });
  const annotations = { ...parts.annotations, ...patch.annotations };
  const composed = mutate(image, { config: patched(parts.config, patch), annotations });
  if (Object.keys(patch.annotations ?? {}).length > 0 && !composed.image.manifest.annotations)
    throw new MicaError(
      'FAILED_PRECONDITION',
      'an image in the format docker has no annotations; use labels, or `mica convert --format oci` first',
    );
  return composed;
}

function patched(config: ImageConfig, patch: ConfigPatch): ImageConfig {
  const { author = config.author, createdAt = config.created, platform } = patch;
  const defaults = patchedDefaults(config.config ?? {}, patch);
  const { variant, 'os.version': version, 'os.features': features } = platform ?? config;
  const { os, architecture } = platform ?? config;
  return {
    ...config,
    created: createdAt,
    author,
    architecture,
    variant,
    os,
    'os.version': version,
    'os.features': features,
    config: defaults,
  };
}

function patchedDefaults(defaults: ContainerDefaults, patch: ConfigPatch): ContainerDefaults {
  const { entrypoint, cmd, stopSignal } = patch;
  if (stopSignal !== undefined && !isStopSignal(stopSignal))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `stop signal ${JSON.stringify(stopSignal.slice(0, 100))}: write a signal, like SIGTERM or 9`,
    );
  const set = (name: keyof ContainerDefaults, value: unknown): object =>
    value === undefined ? {} : { [name]: value };
  return {
    ...defaults,
    ...set('Env', patch.env && withVariables(defaults.Env ?? [], patch.env)),
    ...set('Labels', patch.labels && { ...defaults.Labels, ...patch.labels }),
    ...set('ExposedPorts', patch.expose && { ...defaults.ExposedPorts, ...keys(patch.expose) }),
    ...set('Volumes', patch.volumes && { ...defaults.Volumes, ...keys(patch.volumes) }),
    ...set('User', patch.user),
    ...set('WorkingDir', patch.workdir),
    ...set('StopSignal', stopSignal),
    ...(entrypoint && { Entrypoint: entrypoint, Cmd: undefined }),
    ...set('Cmd', cmd),
  };
}

const keys = (names: readonly string[]): Record<string, object> =>
  Object.fromEntries(names.map((name): [string, object] => [name, {}]));

const nameOf = (variable: string): string => variable.split('=', 1)[0]!;

/** In their places, new ones at the end. */
function withVariables(before: readonly string[], set: Strings): string[] {
  const all = new Map(before.map((variable) => [nameOf(variable), variable]));
  for (const [name, value] of Object.entries(set)) all.set(name, `${name}=${value}`);
  return [...all.values()];
}

interface Parts {
  readonly config: ImageConfig;
  readonly annotations: Strings;
}

const WHOLE: Readonly<Record<string, keyof ContainerDefaults>> = {
  entrypoint: 'Entrypoint',
  cmd: 'Cmd',
  user: 'User',
  workdir: 'WorkingDir',
  'stop-signal': 'StopSignal',
  healthcheck: 'Healthcheck',
  env: 'Env',
  label: 'Labels',
  expose: 'ExposedPorts',
  volume: 'Volumes',
};

const ENTRIES: Readonly<Record<string, 'Labels' | 'ExposedPorts' | 'Volumes'>> = {
  label: 'Labels',
  expose: 'ExposedPorts',
  volume: 'Volumes',
};

function unset({ config, annotations }: Parts, what: string): Parts {
  const [, kind = '', key] = /^([a-z-]+)(?::(.+))?$/s.exec(what) ?? [];
  const defaults = config.config ?? {};
  const withDefaults = (changed: ContainerDefaults): Parts => ({
    config: { ...config, config: { ...defaults, ...changed } },
    annotations,
  });
  if (kind === 'annotation')
    return { config, annotations: key === undefined ? {} : without(annotations, key) };
  if (key === undefined && kind === 'author')
    return { config: { ...config, author: undefined }, annotations };
  if (key === undefined && Object.hasOwn(WHOLE, kind))
    return withDefaults({ [WHOLE[kind]!]: undefined });
  if (key !== undefined && kind === 'env')
    return withDefaults({ Env: defaults.Env?.filter((variable) => nameOf(variable) !== key) });
  if (key !== undefined && Object.hasOwn(ENTRIES, kind)) {
    const field = ENTRIES[kind]!;
    return withDefaults({ [field]: without<unknown>(defaults[field] ?? {}, key) });
  }
  throw new MicaError(
    'INVALID_ARGUMENT',
    `unset ${JSON.stringify(what.slice(0, 200))}: not one of ${Object.keys(WHOLE).join(', ')}, annotation, author, nor env:NAME, label:NAME, expose:PORT, volume:PATH, annotation:NAME`,
  );
}

const without = <T>(record: Readonly<Record<string, T>>, key: string): Record<string, T> =>
  Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
