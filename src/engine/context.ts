import type { ContentStore } from '../content/content.ts';
import { type Database } from '../db/database.ts';
import type { Leases } from '../db/leases.ts';
import { openDatabase } from '../db/open.ts';
import type { Unpacker } from '../layer/unpack.ts';
import type { Registry } from '../registry/registry.ts';
import type { RetryEvent } from '../registry/options.ts';
import type { DriverChoice } from '../snapshot/drivers/index.ts';
import type { LayerStore } from '../snapshot/layers.ts';
import type { LocalSnapshotter } from '../snapshot/local.ts';
import { errnoOf } from '../sys/errno.ts';
import type { EngineConfig } from './config.ts';
import type { OpenStoreOptions } from './store.ts';

/** A store open for writing: recovered, its driver chosen. */
export interface Store {
  readonly db: Database;
  readonly leases: Leases;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  readonly snapshots: LocalSnapshotter;
  readonly choice: DriverChoice;
}

/**
 * What the use cases share. Everything is opened when it is first needed: a command that only reads
 * takes no lock, creates no store, and loads neither the kernel binding nor the HTTP client.
 */
export class Context implements AsyncDisposable {
  readonly config: EngineConfig;
  readonly #opened = new AsyncDisposableStack();
  #ofStore = new AsyncDisposableStack();
  #reading: Promise<Database> | undefined;
  #store: Promise<Store> | undefined;
  #readable: Promise<Store> | undefined;
  #registry: Promise<Registry> | undefined;
  #unpacker: Promise<Unpacker> | undefined;
  /** Who hears of requests that are tried again. */
  readonly onRetry: Set<(event: RetryEvent) => void> = new Set();

  constructor(config: EngineConfig) {
    this.config = config;
  }

  /** The database, for reading; empty where there is no store yet. */
  reading(): Promise<Database> {
    if (this.#store !== undefined) return this.#store.then(({ db }) => db);
    return (this.#reading ??= openDatabase(this.config.root, { readonly: true }).then((db) =>
      this.#opened.use(db),
    ));
  }

  /** @param asItIs with the driver that it has, whichever is configured, and with layers of others */
  store({ asItIs = false }: { readonly asItIs?: boolean } = {}): Promise<Store> {
    const config = asItIs ? { ...this.config, driver: undefined } : this.config;
    return (this.#store ??= this.#openStore(config, { tolerant: asItIs }));
  }

  /** The store for who writes nothing into it: also one on a file system that is read-only. */
  readableStore(): Promise<Store> {
    return this.store().catch((error: unknown) => {
      if (errnoOf(error) !== 'EROFS') throw error;
      return (this.#readable ??= this.#openStore(this.config, { readonly: true }));
    });
  }

  /** Closes the store, so that the next call opens it as it has become. */
  async renew(): Promise<void> {
    const stack = this.#ofStore;
    this.#ofStore = new AsyncDisposableStack();
    this.#store = undefined;
    this.#readable = undefined;
    // Perhaps opened when there was no store yet.
    this.#reading = undefined;
    await stack.disposeAsync();
  }

  registry(): Promise<Registry> {
    return (this.#registry ??= this.#openRegistry());
  }

  unpacker(): Promise<Unpacker> {
    return (this.#unpacker ??= import('../layer/unpack.ts').then(({ openUnpacker }) =>
      this.#opened.use(openUnpacker()),
    ));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What writes into the store ends before that is closed.
    await this.#opened.disposeAsync();
    await this.#ofStore.disposeAsync();
  }

  /** Where it fails, nothing stays open, and the next call tries again. */
  async #openStore(config: EngineConfig, options: OpenStoreOptions): Promise<Store> {
    const { openStore } = await import('./store.ts');
    try {
      return await openStore(config, this.#ofStore, () => this.registry(), options);
    } catch (error) {
      await this.renew();
      throw error;
    }
  }

  async #openRegistry(): Promise<Registry> {
    const { openRegistry } = await import('../registry/registry.ts');
    const { systemOptions } = await import('../registry/credentials.ts');
    const { registryMirrors, insecureRegistries, timeouts, retry } = this.config;
    const system = systemOptions();
    const options = {
      ...system,
      ...(registryMirrors.length > 0 && { mirrors: { 'docker.io': registryMirrors } }),
      insecure: insecureRegistries,
      timeouts,
      retry,
      onRetry: (event: RetryEvent) => {
        for (const listener of this.onRetry) listener(event);
      },
    };
    return this.#opened.use(openRegistry(options));
  }
}
