import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import type { Builder } from '../build/builder.ts';
import type { EngineConfig, EngineOptions } from '../engine/config.ts';
import type { Engine } from '../engine/engine.ts';
import { enterWhereNeeded, type StoreUse } from './namespace.ts';
import { Output, type OutputStream } from './output.ts';

/** What the terminal, or a test, gives to {@link run}. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** What starts this program; absent: it cannot be started again. */
  readonly program?: readonly string[];
  /** The socket to a monitor for what the command is going to run. */
  readonly monitor?: Socket | undefined;
}

/** Options of `mica` itself. */
export interface GlobalOptions {
  readonly root?: string;
  readonly storageDriver?: string;
  readonly config?: string;
  readonly debug?: boolean;
}

/** What a command works with. */
export class Cli implements AsyncDisposable {
  readonly out: Output;
  /** Aborts when the user, or the reader of the output, wants no more. */
  readonly signal: AbortSignal;
  options: GlobalOptions = {};
  readonly #streams: Streams;
  readonly #onBroken: (reason: Error) => void;
  #err: Output | undefined;
  #engine: Promise<Engine> | undefined;
  #builder: Promise<Builder> | undefined;

  constructor(streams: Streams, signal: AbortSignal) {
    const broken = new AbortController();
    this.#streams = streams;
    this.#onBroken = (reason) => broken.abort(reason);
    this.out = new Output(streams.stdout, this.#onBroken);
    this.signal = AbortSignal.any([signal, broken.signal]);
  }

  get stdin(): Streams['stdin'] {
    return this.#streams.stdin;
  }

  get err(): Output {
    return (this.#err ??= new Output(this.#streams.stderr, this.#onBroken));
  }

  /** Started already, where that was possible; it ends with the command unless it was given an order. */
  get monitor(): Socket | undefined {
    return this.#streams.monitor;
  }

  /** The engine on the store that options, environment and configuration name; opened at the first call. */
  engine(use: StoreUse = {}): Promise<Engine> {
    this.#engine ??= this.#open(use);
    return this.#engine;
  }

  /** The builder on that store; opened at the first call. */
  builder(): Promise<Builder> {
    this.#builder ??= this.#openBuilder();
    return this.#builder;
  }

  /** What options, environment and configuration file come to, for commands that need no store. */
  async config(): Promise<EngineConfig> {
    const { resolveConfig } = await import('../engine/config.ts');
    return resolveConfig(this.#engineOptions());
  }

  /** The same without moving to another namespace: for what needs no unpacked files. */
  async store(): Promise<Engine> {
    const { openEngine } = await import('../engine/open.ts');
    this.#engine ??= openEngine(this.#engineOptions());
    return this.#engine;
  }

  /** Starts another command on the same store, which goes on by itself, in silence. */
  startInBackground(verb: string): void {
    const [command, ...first] = this.#streams.program ?? [];
    if (command === undefined) return;
    const { root, storageDriver, config } = this.options;
    const options = Object.entries({ root, 'storage-driver': storageDriver, config });
    const words = options.flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, value],
    );
    const child = spawn(command, [...first, ...words, verb], { detached: true, stdio: 'ignore' });
    // What it would have done, the next one does.
    child.on('error', () => {});
    child.unref();
  }

  async #open(use: StoreUse): Promise<Engine> {
    const { openEngine } = await import('../engine/open.ts');
    await enterWhereNeeded(this.#engineOptions(), use);
    return openEngine(this.#engineOptions());
  }

  async #openBuilder(): Promise<Builder> {
    const { openBuilder } = await import('../build/open.ts');
    await enterWhereNeeded(this.#engineOptions());
    return openBuilder(this.#engineOptions());
  }

  #engineOptions(): EngineOptions {
    const { root, storageDriver, config } = this.options;
    return { root, driver: storageDriver, configFile: config };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.[Symbol.asyncDispose]();
    const builder = await this.#builder?.catch(() => undefined);
    await builder?.[Symbol.asyncDispose]();
    this.monitor?.destroy();
  }
}
