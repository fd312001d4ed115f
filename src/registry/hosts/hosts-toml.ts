import { isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { MicaError } from '../../errors.ts';
import type { TlsOptions } from '../http/tls.ts';
import { directoryNames, readPem } from './certificates.ts';
import { ALL, apiOf, type Capability, type Endpoint, hostOf } from './endpoint.ts';
import { readToml } from './toml.ts';

const list = v.union([
  v.pipe(
    v.string(),
    v.transform((only) => [only]),
  ),
  v.array(v.string()),
]);

const Host = v.object({
  capabilities: v.optional(v.array(v.string())),
  ca: v.optional(list),
  client: v.optional(v.union([v.string(), v.array(v.union([v.string(), v.array(v.string())]))])),
  skip_verify: v.optional(v.boolean()),
  override_path: v.optional(v.boolean()),
  header: v.optional(v.record(v.string(), list)),
});
type Host = v.InferOutput<typeof Host>;

const File = v.object({
  ...Host.entries,
  server: v.optional(v.string()),
  host: v.optional(v.record(v.string(), Host)),
});

/**
 * What containerd's `hosts.toml` says about a registry: its hosts in the order of the file, the
 * registry itself last. `undefined`: there is no such file.
 *
 * @see https://github.com/containerd/containerd/blob/v2.0.0/docs/hosts.md
 */
export async function readHostsToml(
  directories: readonly string[],
  domain: string,
  path: string,
): Promise<Endpoint[] | undefined> {
  for (const directory of directories)
    for (const name of [...directoryNames(domain), '_default']) {
      const home = join(directory, name);
      const file = await readToml(join(home, 'hosts.toml'), File);
      if (!file) continue;
      const endpoints: Endpoint[] = [];
      for (const [address, host] of Object.entries(file.host ?? {}))
        endpoints.push(await toEndpoint({ address, host, home, domain, path }));
      const server = file.server ?? `https://${hostOf(domain)}`;
      endpoints.push(await toEndpoint({ address: server, host: file, home, domain, path }));
      return endpoints;
    }
  return undefined;
}

interface Entry {
  readonly address: string;
  readonly host: Host;
  /** Directory of the file: what its paths start from. */
  readonly home: string;
  readonly domain: string;
  readonly path: string;
}

async function toEndpoint(entry: Entry): Promise<Endpoint> {
  const { address, host, home, domain, path } = entry;
  const url = URL.parse(address.includes('://') ? address : `https://${address}`);
  if (!url || !/^https?:$/.test(url.protocol))
    throw new MicaError('FAILED_PRECONDITION', `${home}/hosts.toml: ${address} is not an address`);
  const upstream = url.host === hostOf(domain);
  const headers = Object.entries(host.header ?? {}).map(([name, values]) => [
    name.toLowerCase(),
    values.join(', '),
  ]);
  return {
    base: host.override_path ? new URL(url.href.replace(/\/+$/, '')) : apiOf(url),
    plainHttp: false,
    path,
    registry: upstream ? domain : url.host,
    namespace: upstream ? undefined : domain,
    capabilities: capabilitiesOf(host),
    tls: await tlsOf(host, home),
    headers: Object.fromEntries(headers) as Record<string, string>,
  };
}

function capabilitiesOf({ capabilities }: Host): ReadonlySet<Capability> {
  if (!capabilities || capabilities.length === 0) return ALL;
  return new Set([...ALL].filter((capability) => capabilities.includes(capability)));
}

async function tlsOf({ ca, client, skip_verify }: Host, home: string): Promise<TlsOptions> {
  const read = (file: string): Promise<string> =>
    readPem(isAbsolute(file) ? file : join(home, file));
  const authorities: string[] = [];
  for (const file of ca ?? []) authorities.push(await read(file));
  const [pair] = typeof client === 'string' ? [client] : (client ?? []);
  // One file may hold both the certificate and its key.
  const [cert, key = cert] = typeof pair === 'string' ? [pair] : (pair ?? []);
  return {
    ...(authorities.length > 0 && { ca: authorities }),
    ...(cert && key && { client: { cert: await read(cert), key: await read(key) } }),
    ...(skip_verify && { skipVerify: true }),
  };
}
