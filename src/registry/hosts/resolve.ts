import { MicaError } from '../../errors.ts';
import type { Reference } from '../../oci/reference.ts';
import { inBlock, isLoopback } from '../http/proxy.ts';
import type { TlsOptions } from '../http/tls.ts';
import type { RegistryOptions } from '../options.ts';
import { readCertificates } from './certificates.ts';
import { ALL, apiOf, type Endpoint, hostOf, PULL } from './endpoint.ts';
import { readHostsToml } from './hosts-toml.ts';
import { placesOf, readRegistriesConf, type RegistryRule, ruleFor } from './registries-conf.ts';

/**
 * Says where a repository is served, and in which order to ask: mirrors named to Mica, else those
 * of `hosts.toml`, else those of `registries.conf`; the registry itself comes last.
 */
export class Hosts {
  readonly #options: RegistryOptions;
  readonly #directories: readonly string[];
  readonly #tls = new Map<string, TlsOptions>();
  #rules: Promise<readonly RegistryRule[]> | undefined;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#directories = options.hosts?.directories ?? [];
  }

  /** @throws PERMISSION_DENIED when a rule blocks the registry · FAILED_PRECONDITION when a file is wrong */
  async endpoints(reference: Reference): Promise<readonly Endpoint[]> {
    const endpoints = await this.#endpoints(reference);
    for (const { base, tls } of endpoints) this.#tls.set(base.host, tls);
    return endpoints;
  }

  /** How to speak TLS with a host, whether an endpoint, a token server or what a redirect named. */
  async tls({ host }: URL): Promise<TlsOptions> {
    return this.#tls.get(host) ?? this.#tlsOf(host);
  }

  async #endpoints({ domain, path, digest }: Reference): Promise<Endpoint[]> {
    this.#rules ??= readRegistriesConf(this.#options.hosts?.registriesConf ?? []);
    const name = `${domain}/${path}`;
    const rule = ruleFor(await this.#rules, name);
    const places = rule ? placesOf(rule, name, digest !== undefined) : [{ name, insecure: false }];
    const mirrors = this.#options.mirrors?.[domain];
    if (mirrors) {
      const endpoints: Endpoint[] = [];
      for (const address of mirrors) endpoints.push(await this.#mirror(address, path));
      return [...endpoints, await this.#place(name, ALL)];
    }
    const listed = await readHostsToml(this.#directories, domain, path);
    if (listed) return listed;
    const endpoints: Endpoint[] = [];
    for (const [index, place] of places.entries()) {
      const upstream = index === places.length - 1;
      endpoints.push(await this.#place(place.name, upstream ? ALL : PULL, place.insecure));
    }
    return endpoints;
  }

  async #mirror(address: string, path: string): Promise<Endpoint> {
    const url = URL.parse(address.includes('://') ? address : `https://${address}`);
    if (!url || !/^https?:$/.test(url.protocol))
      throw new MicaError('INVALID_ARGUMENT', `the mirror ${address} is not an http or https URL`);
    return {
      base: apiOf(url),
      plainHttp: url.protocol === 'https:' && this.#isInsecure(url.host),
      path,
      registry: url.host,
      capabilities: PULL,
      tls: await this.#tlsOf(url.host),
      headers: {},
    };
  }

  /** @param name `host[:port]/path` */
  async #place(
    name: string,
    capabilities: Endpoint['capabilities'],
    insecure = false,
  ): Promise<Endpoint> {
    const slash = name.indexOf('/');
    const registry = name.slice(0, slash);
    const host = hostOf(registry);
    const base = URL.parse(`https://${host}/v2`);
    if (!base) throw new MicaError('INVALID_ARGUMENT', `${host} is not the address of a registry`);
    const plainHttp = insecure || this.#isInsecure(host);
    const tls = await this.#tlsOf(host);
    return {
      base,
      plainHttp,
      path: name.slice(slash + 1),
      registry,
      capabilities,
      tls: plainHttp ? { ...tls, skipVerify: true } : tls,
      headers: {},
    };
  }

  async #tlsOf(host: string): Promise<TlsOptions> {
    const tls = await readCertificates(this.#directories, host);
    return this.#isInsecure(host) ? { ...tls, skipVerify: true } : tls;
  }

  #isInsecure(host: string): boolean {
    const { hostname = '' } = URL.parse(`https://${host}`) ?? {};
    const bare = hostname.replace(/^\[|\]$/g, '');
    return (
      isLoopback(hostname) ||
      (this.#options.insecure ?? []).some(
        (entry) => entry === host || entry === hostname || inBlock(entry, bare),
      )
    );
  }
}
