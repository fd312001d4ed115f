import type { Abortable } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';

/** How registries are reached. Nothing of the machine's own configuration is read unless it is passed in. */
export interface RegistryOptions {
  /** Default: everybody is anonymous. `systemOptions()` has those of docker and podman. */
  readonly credentials?: CredentialStore | undefined;
  /** Files of containerd, docker and podman that say how to reach registries. Default: none. */
  readonly hosts?: HostFiles | undefined;
  /** URLs of mirrors by domain (`docker.io`), tried in order before the registry itself. They win over {@link hosts}. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>> | undefined;
  /** `host`, `host:port` or CIDR blocks that may have an unknown certificate, or none. Loopback always may. */
  readonly insecure?: readonly string[] | undefined;
  readonly proxy?: ProxyOptions | undefined;
  readonly userAgent?: string | undefined;
  /** Connections to one host at most. Default 8. */
  readonly connections?: number | undefined;
  readonly timeouts?: Timeouts | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** Called before each wait for another attempt. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

export interface HostFiles {
  /** Directories like `/etc/containerd/certs.d`: `<host>/hosts.toml`, or `<host>/*.crt` as docker has it. */
  readonly directories?: readonly string[] | undefined;
  /** Files like `/etc/containers/registries.conf` (version 2); later ones add to and replace earlier ones. */
  readonly registriesConf?: readonly string[] | undefined;
}

/** URLs of proxies, and who is reached without one, as in `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`. */
export interface ProxyOptions {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  readonly no?: string | undefined;
}

/** In milliseconds. */
export interface Timeouts {
  /** Until a connection stands, TLS included. Default 10 s. */
  readonly connect?: number | undefined;
  /** Until an answer begins, and between two pieces of it. Default 30 s. */
  readonly idle?: number | undefined;
}

/** What is transient (no connection, 429, 5xx, a connection that drops) is tried again. */
export interface RetryPolicy {
  /** Attempts without progress, the first one included. Default 6. */
  readonly attempts?: number | undefined;
  /** First wait in milliseconds; each later one is 2.5 times as long, and each varies by a half. Default 250. */
  readonly delay?: number | undefined;
  /** Longest wait, also if `Retry-After` asks for more: then the request fails. Default 60 s. */
  readonly maxDelay?: number | undefined;
}

export interface RetryEvent {
  /** What was being fetched, where it is one thing. */
  readonly target: Descriptor | undefined;
  readonly reason: string;
  /** In milliseconds. */
  readonly delay: number;
}

/** Who we are at a registry. */
export interface Credential {
  /** `''` beside an identity token. */
  readonly username: string;
  readonly secret: string;
  /** `secret` is an OAuth2 refresh token, not a password. */
  readonly identity?: boolean | undefined;
}

export interface CredentialStore {
  /** @param registry domain as in a reference, e.g. `docker.io` · @param path repository, for stores that differ by it */
  get(registry: string, path?: string, options?: Abortable): Promise<Credential | undefined>;
}
