import * as v from 'valibot';
import { DigestSchema } from './descriptor.ts';
import type { DiffId } from './digest.ts';
import {
  arrayOf,
  check,
  MapSchema,
  objectOf,
  optional,
  parseObject,
  StringsSchema,
} from './json.ts';

/**
 * What an image is besides its layers: defaults for containers, and how it came to be. Fields that
 * are not named here are kept as they came.
 *
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
 */
export interface ImageConfig {
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly author?: string | undefined;
  /** `''` in a few old images. */
  readonly architecture: string;
  readonly variant?: string | undefined;
  /** `linux` where an old image does not say. */
  readonly os: string;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
  readonly config?: ContainerDefaults | undefined;
  readonly rootfs: RootFs;
  /** Oldest first. */
  readonly history?: readonly History[] | undefined;
  readonly docker_version?: string | undefined;
  /** ID of the container that the image was committed from. */
  readonly container?: string | undefined;
  readonly comment?: string | undefined;
  readonly parent?: string | undefined;
}

/** How a container of the image runs unless told otherwise, with Docker's extra fields. */
export interface ContainerDefaults {
  readonly User?: string | undefined;
  readonly ExposedPorts?: Readonly<Record<string, object>> | undefined;
  readonly Env?: readonly string[] | undefined;
  readonly Entrypoint?: readonly string[] | undefined;
  readonly Cmd?: readonly string[] | undefined;
  readonly Volumes?: Readonly<Record<string, object>> | undefined;
  readonly WorkingDir?: string | undefined;
  readonly Labels?: Readonly<Record<string, string>> | undefined;
  readonly StopSignal?: string | undefined;
  readonly StopTimeout?: number | undefined;
  readonly Shell?: readonly string[] | undefined;
  readonly Healthcheck?: Healthcheck | undefined;
  readonly OnBuild?: readonly string[] | undefined;
  readonly ArgsEscaped?: boolean | undefined;
  readonly Hostname?: string | undefined;
  readonly Domainname?: string | undefined;
  readonly MacAddress?: string | undefined;
  readonly Image?: string | undefined;
  readonly AttachStdin?: boolean | undefined;
  readonly AttachStdout?: boolean | undefined;
  readonly AttachStderr?: boolean | undefined;
  readonly Tty?: boolean | undefined;
  readonly OpenStdin?: boolean | undefined;
  readonly StdinOnce?: boolean | undefined;
  readonly NetworkDisabled?: boolean | undefined;
}

/** Durations are nanoseconds. */
export interface Healthcheck {
  readonly Test?: readonly string[] | undefined;
  readonly Interval?: number | undefined;
  readonly Timeout?: number | undefined;
  readonly StartPeriod?: number | undefined;
  readonly StartInterval?: number | undefined;
  readonly Retries?: number | undefined;
}

export interface RootFs {
  readonly type: 'layers';
  /** Base layer first. */
  readonly diff_ids: readonly DiffId[];
}

export interface History {
  /** RFC 3339. */
  readonly created?: string | undefined;
  readonly created_by?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** This step made no layer. */
  readonly empty_layer?: boolean | undefined;
}

/** Labels that hold whole documents make configs large, but not this large. */
export const MAX_CONFIG_SIZE: number = 8 * 1024 * 1024;

const strings = v.array(v.string());
const text = optional(v.string());
const flag = optional(v.boolean());
const number = optional(v.number());
/** Docker also reads one string where a list is meant. */
const list = optional(
  v.union([
    strings,
    v.pipe(
      v.string(),
      v.transform((only) => [only]),
    ),
  ]),
);
/** Go's `map[string]struct{}`; a `null` value is an entry like any other. */
const set = optional(
  v.pipe(
    MapSchema,
    v.transform((value) =>
      Object.fromEntries(Object.keys(value).map((key): [string, object] => [key, {}])),
    ),
  ),
);

const ContainerDefaultsSchema: v.GenericSchema<unknown, ContainerDefaults> = objectOf({
  User: text,
  ExposedPorts: set,
  Env: optional(strings),
  Entrypoint: list,
  Cmd: list,
  Volumes: set,
  WorkingDir: text,
  Labels: optional(StringsSchema),
  StopSignal: text,
  StopTimeout: number,
  Shell: list,
  Healthcheck: optional(
    objectOf({
      Test: optional(strings),
      Interval: number,
      Timeout: number,
      StartPeriod: number,
      StartInterval: number,
      Retries: number,
    }),
  ),
  OnBuild: optional(strings),
  ArgsEscaped: flag,
  Hostname: text,
  Domainname: text,
  MacAddress: text,
  Image: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  NetworkDisabled: flag,
});

const HistorySchema: v.GenericSchema<unknown, History> = objectOf({
  created: text,
  created_by: text,
  author: text,
  comment: text,
  empty_layer: flag,
});

const ImageConfigSchema: v.GenericSchema<unknown, ImageConfig> = objectOf({
  created: text,
  author: text,
  architecture: v.optional(v.string(), ''),
  variant: text,
  os: v.pipe(
    v.optional(v.string(), ''),
    v.transform((os) => os || 'linux'),
  ),
  'os.version': text,
  'os.features': optional(strings),
  config: optional(ContainerDefaultsSchema),
  rootfs: objectOf({
    type: v.literal('layers', 'is not "layers"'),
    diff_ids: arrayOf(DigestSchema as v.GenericSchema<unknown, DiffId>),
  }),
  history: optional(v.array(HistorySchema)),
  docker_version: text,
  container: text,
  comment: text,
  parent: text,
});

/** Reads an untrusted image config; absent and `null` fields become `undefined`. @throws INVALID_ARGUMENT */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const kind = { what: 'image config', limit: MAX_CONFIG_SIZE };
  return check(ImageConfigSchema, parseObject(bytes, kind), kind);
}

/**
 * For each layer the step of the history that made it, base first. Tools write histories that do
 * not fit the layers; then nothing is attributed, since the wrong command is worse than none.
 */
export function layerHistory(config: ImageConfig): readonly (History | undefined)[] {
  const { diff_ids } = config.rootfs;
  const steps = (config.history ?? []).filter(({ empty_layer }) => empty_layer !== true);
  return diff_ids.map((_, layer) => (steps.length === diff_ids.length ? steps[layer] : undefined));
}
