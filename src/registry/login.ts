import { mkdir, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isCode, MicaError } from '../errors.ts';
import { writeAtomic } from '../io/atomic.ts';
import type { Abortable } from '../io/bytes.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { findKey, keyOf, readAuthFile } from './auth/config-file.ts';
import { helperErase, helperStore } from './auth/helper.ts';
import type { Credential, RegistryOptions } from './options.ts';
import { openSession } from './registry.ts';
import { Route } from './route.ts';

export interface LoginOptions extends Abortable {
  /** Docker's `config.json`, as `systemFiles()` finds it. */
  readonly file: string;
  /** How the registry is reached; its credentials are not used. */
  readonly registry?: RegistryOptions | undefined;
}

export interface LoginResult {
  /** `file`: in clear text (base64) in the configuration file; otherwise the helper that keeps it. */
  readonly keptBy: 'file' | `docker-credential-${string}`;
  readonly path: string;
}

/**
 * Makes sure that `registry` accepts the credential, then keeps it where docker keeps its own.
 *
 * @param registry domain as in a reference, e.g. `docker.io`
 * @throws UNAUTHENTICATED when the registry refuses it; nothing is kept then
 */
export async function login(
  registry: string,
  credential: Credential,
  options: LoginOptions,
): Promise<LoginResult> {
  await verify(registry, credential, options);
  const { file } = options;
  const config = (await readAuthFile(file)) ?? {};
  const helper = helperOf(config, registry);
  if (helper) {
    await helperStore(helper, keyOf(registry), credential, options);
    return { keptBy: `docker-credential-${helper}`, path: file };
  }
  const { username, secret, identity } = credential;
  const auth = Buffer.from(`${username}:${identity ? '' : secret}`).toString('base64');
  await edit(file, (auths) => {
    auths[findKey(auths, registry) ?? keyOf(registry)] = {
      auth,
      ...(identity && { identitytoken: secret }),
    };
  });
  return { keptBy: 'file', path: file };
}

/** Forgets the credential. `false`: there was none. */
export async function logout(
  registry: string,
  { file, signal }: Pick<LoginOptions, 'file' | 'signal'>,
): Promise<boolean> {
  const config = await readAuthFile(file);
  if (!config) return false;
  const helper = helperOf(config, registry);
  if (helper) await helperErase(helper, keyOf(registry), { signal });
  const key = findKey(config.auths ?? {}, registry);
  if (key === undefined) return helper !== undefined;
  await edit(file, (auths) => {
    delete auths[key];
  });
  return true;
}

function helperOf(
  { credHelpers, credsStore }: NonNullable<Awaited<ReturnType<typeof readAuthFile>>>,
  registry: string,
): string | undefined {
  const key = findKey(credHelpers ?? {}, registry);
  return (key !== undefined && credHelpers?.[key]) || credsStore || undefined;
}

async function verify(
  registry: string,
  credential: Credential,
  { registry: options = {}, signal }: LoginOptions,
): Promise<void> {
  const credentials = { get: async () => credential };
  const { session, hosts, close } = openSession({ ...options, credentials });
  try {
    // Of the hosts that are configured it is the registry itself that knows its users.
    const endpoint = (await hosts.endpoints({ domain: registry, path: 'login' })).at(-1)!;
    const response = await new Route(endpoint, session).ping([], signal);
    await response.body.discard();
  } catch (cause) {
    if (!isCode(cause, 'UNAUTHENTICATED')) throw cause;
    throw new MicaError(
      'UNAUTHENTICATED',
      `${registry} does not accept this user name and password: ${cause.message}`,
      { cause },
    );
  } finally {
    await close();
  }
}

/**
 * Changes `auths` and nothing else, atomically, readable by nobody else. Several at once take turns.
 * (Docker's own login takes none: it knows no lock of this file.)
 */
async function edit(file: string, change: (auths: Record<string, unknown>) => void): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // A configuration that is a link, as dotfile managers make them, stays one.
  const path = await realpath(file).catch(() => file);
  using _ = await holdWhenFree(`${path}.mica-lock`);
  await removeUnfinished(path);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const config = (text.trim() === '' ? {} : JSON.parse(text)) as {
    auths?: Record<string, unknown> | null;
  };
  const auths = config.auths ?? {};
  change(auths);
  const content = JSON.stringify({ ...config, auths }, undefined, '\t');
  writeAtomic(path, `${content}\n`, { mode: 0o600 });
}

/** Under the lock: what a killed login was about to put in place, a secret in it. */
async function removeUnfinished(path: string): Promise<void> {
  const ours = new RegExp(`^${RegExp.escape(basename(path))}\\.\\d+-[0-9a-f]{12}\\.new$`);
  for (const name of await readdir(dirname(path)))
    if (ours.test(name)) await rm(join(dirname(path), name), { force: true });
}
