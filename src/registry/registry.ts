import { MicaError } from '../errors.ts';
import type { FetchOptions, Sink, Source, Tags } from '../content/content.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Reference } from '../oci/reference.ts';
import { Hosts } from './hosts/resolve.ts';
import { Client } from './http/client.ts';
import { Transport } from './http/transport.ts';
import type { RegistryOptions, RetryEvent } from './options.ts';
import { RegistryRepository } from './repository.ts';
import type { Session } from './route.ts';

/**
 * One repository of one registry, e.g. `docker.io/library/alpine`.
 *
 * Blobs and manifests live under different endpoints; the media type of the
 * descriptor decides which one is spoken to, so callers never see the difference.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
export interface Repository extends Source, Sink, Tags {
  readonly name: string;
  /** Resumes by itself after dropped connections, within bounds. */
  fetch(target: Descriptor, options?: RepositoryFetchOptions): Bytes;
  push(target: Descriptor, content: Reopenable, options?: RepositoryPushOptions): Promise<void>;
  listTags(options?: Abortable): AsyncIterable<string>;
  /** Manifests that say something about `subject`, and their annotations. */
  listReferrers(
    subject: Descriptor,
    options?: Abortable & { readonly artifactType?: string | undefined },
  ): AsyncIterable<Descriptor>;
  /** Adopts a blob from a sibling repository without moving bytes; `false`: the registry declined. */
  mount(target: Descriptor, from: string, options?: Abortable): Promise<boolean>;
}

export interface RepositoryFetchOptions extends FetchOptions {
  /** Instead of the one of {@link RegistryOptions}. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

export interface RepositoryPushOptions extends Abortable {
  /** A tag for the manifest, in the same request. Default: it is known by its digest. */
  readonly as?: string | undefined;
  /** The caller knows that the registry has not the blob: it is not asked. Default false. */
  readonly isAbsent?: boolean | undefined;
}

/** Connections, tokens and mirrors, shared by all repositories. */
export interface Registry extends AsyncDisposable {
  /** The repository that `reference` names; tag and digest are not looked at. */
  repository(reference: Reference): Repository;
  /** What is at an address of http or https, as anybody gets it: without credentials. */
  download(url: URL, options?: Abortable): Bytes;
}

const DEFAULTS = {
  connections: 8,
  timeouts: { connect: 10_000, idle: 30_000 },
  retry: { attempts: 6, delay: 250, maxDelay: 60_000 },
  userAgent: `mica (node ${process.versions.node}; ${process.platform} ${process.arch})`,
};

export function openRegistry(options: RegistryOptions = {}): Registry {
  const { session, hosts, close } = openSession(options);
  return {
    repository: (reference) => new RegistryRepository(reference, hosts, session),
    async *download(url, { signal } = {}) {
      const { body } = await session.client.request({ method: 'GET', url, signal });
      try {
        yield* body;
      } finally {
        await body.return();
      }
    },
    [Symbol.asyncDispose]: close,
  };
}

/** The parts of a registry client, for what speaks with a registry but is not a repository. */
export function openSession(options: RegistryOptions): {
  readonly session: Session;
  readonly hosts: Hosts;
  readonly close: () => Promise<void>;
} {
  const { connections = DEFAULTS.connections, proxy = {}, credentials, onRetry } = options;
  const hosts = new Hosts(options);
  const transport = new Transport({
    connections,
    proxy,
    timeouts: withDefaults(DEFAULTS.timeouts, options.timeouts),
    tls: (url) => hosts.tls(url),
  });
  const client = new Client(transport, {
    policy: withDefaults(DEFAULTS.retry, options.retry),
    userAgent: options.userAgent ?? DEFAULTS.userAgent,
    onRetry,
  });
  const lifetime = new AbortController();
  return {
    hosts,
    session: { client, credentials, lifetime: lifetime.signal, bases: new Map(), dead: new Map() },
    close: async () => {
      lifetime.abort(new MicaError('FAILED_PRECONDITION', 'the registry client was closed'));
      await transport[Symbol.asyncDispose]();
    },
  };
}

type Given<T> = { readonly [Name in keyof T]?: T[Name] | undefined };

/** Unlike a spread, `undefined` does not count as given. */
function withDefaults<T extends object>(defaults: T, given: Given<T> = {}): T {
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(named) };
}
