import type { ContainerDefaults, History } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffId } from '../oci/digest.ts';
import type { Platform } from '../oci/platform.ts';

/** A layer of an image that is being built. */
export interface BuiltLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
}

/** What a stage begins with: nothing, an image, or another stage. */
export interface StageBase {
  /** What `CMD` and the like made of it. */
  readonly config: ContainerDefaults;
  readonly history: readonly History[];
  /** Base layer first. */
  readonly layers: readonly BuiltLayer[];
  readonly platform: Platform;
  /** RFC 3339: when the newest of its inputs was made. */
  readonly created: string;
  readonly author: string | undefined;
}

/** The search path of an image that does not say. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Everything that instructions change. */
export class StageState {
  config: ContainerDefaults;
  readonly history: History[];
  readonly layers: BuiltLayer[];
  readonly platform: Platform;
  created: string;
  author: string | undefined;
  /** By ARG of this stage; in effect from there on. */
  readonly args: Map<string, string> = new Map();
  /** This stage has a CMD of its own, which a new ENTRYPOINT leaves alone. */
  hasCommand = false;
  /** As they were split last. */
  #env: { readonly of: readonly string[]; readonly map: ReadonlyMap<string, string> } = {
    of: [],
    map: new Map(),
  };
  /** Steps of the history that are the base's. */
  readonly #inherited: number;
  readonly #sourceDateEpoch: number | undefined;

  constructor(base: StageBase, sourceDateEpoch: number | undefined) {
    this.config = { ...base.config, OnBuild: undefined };
    this.history = [...base.history];
    this.#inherited = base.history.length;
    this.layers = [...base.layers];
    this.platform = base.platform;
    this.created = base.created;
    this.author = base.author;
    this.#sourceDateEpoch = sourceDateEpoch;
    if (this.env.get('PATH') === undefined) this.setEnv([['PATH', DEFAULT_PATH]]);
  }

  /** The variables of the image. */
  get env(): ReadonlyMap<string, string> {
    const { Env = [] } = this.config;
    if (this.#env.of !== Env) this.#env = { of: Env, map: new Map(Env.map(splitVariable)) };
    return this.#env.map;
  }

  setEnv(variables: Iterable<readonly [name: string, value: string]>): void {
    const all = new Map(this.env);
    for (const [name, value] of variables) all.set(name, value);
    this.config = { ...this.config, Env: [...all].map(([key, text]) => `${key}=${text}`) };
  }

  /** What variables of instructions mean: ENV before ARG. */
  lookup = (name: string): string | undefined => this.env.get(name) ?? this.args.get(name);

  get shell(): readonly string[] {
    return this.config.Shell ?? ['/bin/sh', '-c'];
  }

  /** Absolute. */
  get workdir(): string {
    return this.config.WorkingDir === undefined || this.config.WorkingDir === ''
      ? '/'
      : this.config.WorkingDir;
  }

  /** Adds a step to the history. @param layer - what it put on top; `undefined`: nothing */
  record(createdBy: string, layer: BuiltLayer | undefined): void {
    if (layer !== undefined) this.layers.push(layer);
    this.history.push({
      created: '',
      created_by: createdBy,
      ...(this.author !== undefined && { author: this.author }),
      ...(layer === undefined && { empty_layer: true }),
    });
  }

  /** When the newest of what is in it was made, in seconds since 1970. */
  get seconds(): number {
    const milliseconds = Date.parse(this.created);
    return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
  }

  /** Something was put in that is as old as this. @param seconds - since 1970 */
  aged(seconds: number): void {
    const time = timeOf(seconds);
    if (time > this.created) this.created = time;
  }

  /** With `SOURCE_DATE_EPOCH` everything was made then. */
  time(created: string): string {
    return this.#sourceDateEpoch === undefined ? created : timeOf(this.#sourceDateEpoch);
  }

  /** What others build on. Its own steps are as old as the newest of what it was made of. */
  finished(): StageBase {
    const { config, layers, platform, created, author } = this;
    const time = this.time(created);
    const history = this.history.map((step, at) =>
      at < this.#inherited ? step : Object.assign(step, { created: time }),
    );
    return { config, history, layers, platform, created, author };
  }
}

function splitVariable(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}

/** RFC 3339, in whole seconds. Times that the format cannot hold count as the beginning. */
export function timeOf(seconds: number): string {
  const date = new Date(Math.max(0, Math.min(seconds, 253_402_300_799)) * 1000);
  return `${date.toISOString().slice(0, 19)}Z`;
}

export const EPOCH: string = timeOf(0);
