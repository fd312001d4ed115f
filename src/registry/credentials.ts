import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Abortable } from '../io/bytes.ts';
import { credentialOf, findKey, keyOf, readAuthFile } from './auth/config-file.ts';
import { helperGet } from './auth/helper.ts';
import type { Credential, CredentialStore, RegistryOptions } from './options.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where this machine keeps what there is to know about registries. */
export interface SystemFiles {
  /** Docker's `config.json`: read first, and written by a login. */
  readonly dockerConfig: string;
  /** Podman's `auth.json`, in the order they are asked. */
  readonly authFiles: readonly string[];
}

export function systemFiles(environment: Environment = process.env): SystemFiles {
  const runtime = environment['XDG_RUNTIME_DIR'];
  const named = environment['REGISTRY_AUTH_FILE'];
  return {
    dockerConfig: join(environment['DOCKER_CONFIG'] || join(homedir(), '.docker'), 'config.json'),
    authFiles: [
      ...(named ? [named] : []),
      ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
      join(configHome(environment), 'containers', 'auth.json'),
    ],
  };
}

/**
 * What this machine says about registries: credentials and hosts as docker, podman and containerd
 * have them, and proxies.
 */
export function systemOptions(
  environment: Environment = process.env,
): Pick<RegistryOptions, 'credentials' | 'hosts' | 'proxy'> {
  const home = configHome(environment);
  const containers = environment['CONTAINERS_REGISTRIES_CONF'];
  const of = (name: string): string | undefined =>
    environment[name.toLowerCase()] || environment[name] || undefined;
  return {
    credentials: fileCredentials(systemFiles(environment)),
    hosts: {
      directories: [
        '/etc/mica/certs.d',
        '/etc/containerd/certs.d',
        '/etc/docker/certs.d',
        join(home, 'docker', 'certs.d'),
      ],
      registriesConf: containers
        ? [containers]
        : [
            '/etc/containers/registries.conf',
            '/etc/containers/registries.conf.d',
            join(home, 'containers', 'registries.conf'),
            join(home, 'containers', 'registries.conf.d'),
          ],
    },
    proxy: { http: of('HTTP_PROXY'), https: of('HTTPS_PROXY'), no: of('NO_PROXY') },
  };
}

const configHome = (environment: Environment): string =>
  environment['XDG_CONFIG_HOME'] || join(homedir(), '.config');

/** Credentials from docker's configuration, its helpers included, then from podman's files. */
export function fileCredentials({ dockerConfig, authFiles }: SystemFiles): CredentialStore {
  return {
    async get(registry, path, options = {}) {
      for (const file of [dockerConfig, ...authFiles]) {
        const found = await fromFile(file, registry, path, options);
        if (found) return found;
      }
      return undefined;
    },
  };
}

async function fromFile(
  file: string,
  registry: string,
  path: string | undefined,
  options: Abortable,
): Promise<Credential | undefined> {
  options.signal?.throwIfAborted();
  const config = await readAuthFile(file);
  if (!config) return undefined;
  const helpers = config.credHelpers ?? {};
  const key = findKey(helpers, registry, path);
  const helper = (key !== undefined && helpers[key]) || config.credsStore;
  if (helper) return helperGet(helper, keyOf(registry), options);
  const auths = config.auths ?? {};
  const entry = findKey(auths, registry, path);
  return credentialOf((entry !== undefined && auths[entry]) || {});
}
