import type { TlsOptions } from '../http/tls.ts';

export type Capability = 'pull' | 'resolve' | 'push';

/** One place that serves a repository: the registry itself, or a mirror of it. */
export interface Endpoint {
  /** Ends in `/v2` unless its configuration says otherwise; no slash after it. */
  readonly base: URL;
  /** Plain HTTP will do if nothing speaks TLS there. */
  readonly plainHttp: boolean;
  /** Name of the repository there. */
  readonly path: string;
  /** Domain by which credentials are found. */
  readonly registry: string;
  /** Told to mirrors that serve several registries, as `?ns=`. */
  readonly namespace?: string | undefined;
  readonly capabilities: ReadonlySet<Capability>;
  readonly tls: TlsOptions;
  readonly headers: Readonly<Record<string, string>>;
}

export const ALL: ReadonlySet<Capability> = new Set(['pull', 'resolve', 'push']);
export const PULL: ReadonlySet<Capability> = new Set(['pull', 'resolve']);

/** Docker Hub's registry has another name than its images. */
export const hostOf = (domain: string): string =>
  domain === 'docker.io' ? 'registry-1.docker.io' : domain;

/** The API's root below the address of a mirror. */
export function apiOf(address: URL): URL {
  const path = address.pathname.replace(/\/+$/, '');
  return new URL(`${address.origin}${path.endsWith('/v2') ? path : `${path}/v2`}`);
}
