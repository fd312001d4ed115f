import type { Readable } from 'node:stream';
import type { EngineConfig, EngineOptions } from '../engine/config.ts';
import type { Engine } from '../engine/engine.ts';
import { enterWhereNeeded, type StoreUse } from './namespace.ts';
import { Output, type OutputStream } from './output.ts';

/** What the terminal, or a test, gives to {@link run}. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
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
  readonly stdin: Streams['stdin'];
  readonly out: Output;
  readonly err: Output;
  /** Aborts when the user, or the reader of the output, wants no more. */
  readonly signal: AbortSignal;
  options: GlobalOptions = {};
  #engine: Promise<Engine> | undefined;

  constructor(streams: Streams, signal: AbortSignal) {
    const broken = new AbortController();
    const onBroken = (reason: Error): void => broken.abort(reason);
    this.stdin = streams.stdin;
    this.out = new Output(streams.stdout, onBroken);
    this.err = new Output(streams.stderr, onBroken);
    this.signal = AbortSignal.any([signal, broken.signal]);
  }

  /** The engine on the store that options, environment and configuration name; opened at the first call. */
  engine(use: StoreUse = {}): Promise<Engine> {
    this.#engine ??= this.#open(use);
    return this.#engine;
  }

  /** What options, environment and configuration file come to, for commands that need no store. */
  async config(): Promise<EngineConfig> {
    const { resolveConfig } = await import('../engine/config.ts');
    return resolveConfig(this.#engineOptions());
  }

  async #open(use: StoreUse): Promise<Engine> {
    const { openEngine } = await import('../engine/open.ts');
    await enterWhereNeeded(this.#engineOptions(), use);
    return openEngine(this.#engineOptions());
  }

  #engineOptions(): EngineOptions {
    const { root, storageDriver, config } = this.options;
    return { root, driver: storageDriver, configFile: config };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.[Symbol.asyncDispose]();
  }
}
