import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { MicaError } from '../../errors.ts';
import type { Credential } from '../options.ts';

const text = v.nullish(v.string());

const Auth = v.looseObject({
  auth: text,
  username: text,
  password: text,
  identitytoken: text,
});
export type Auth = Readonly<
  Partial<Record<'auth' | 'username' | 'password' | 'identitytoken', string | null | undefined>>
>;

/** Docker's `config.json` and podman's `auth.json`, as far as they are about credentials. */
export interface AuthFile {
  readonly auths?: Readonly<Record<string, Auth | null | undefined>> | null | undefined;
  /** Program that keeps everything. */
  readonly credsStore?: string | null | undefined;
  /** Program by registry. */
  readonly credHelpers?: Readonly<Record<string, string>> | null | undefined;
}

const File: v.GenericSchema<unknown, AuthFile> = v.looseObject({
  auths: v.nullish(v.record(v.string(), v.nullish(Auth))),
  credsStore: text,
  credHelpers: v.nullish(v.record(v.string(), v.string())),
});

/** @returns `undefined` when there is no such file, with all fields otherwise @throws FAILED_PRECONDITION when it cannot be understood */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new MicaError('FAILED_PRECONDITION', `${path} cannot be read: ${message}`, { cause });
  }
  if (content.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    // The parser's message quotes the text, which may be a secret.
    throw new MicaError('FAILED_PRECONDITION', `${path} is not JSON; repair or remove it`);
  }
  const parsed = v.safeParse(File, value, { abortEarly: true });
  if (parsed.success && !Array.isArray(value)) return parsed.output;
  const field = (parsed.issues && v.getDotPath(parsed.issues[0])) ?? 'file';
  throw new MicaError('FAILED_PRECONDITION', `${path}: ${field} is not what it should be`);
}

/** What one entry of `auths` holds. */
export function credentialOf({
  auth,
  username,
  password,
  identitytoken,
}: Auth): Credential | undefined {
  // Old versions of docker padded it with NULs.
  const [decoded = ''] = Buffer.from(auth ?? '', 'base64')
    .toString('utf8')
    .split('\0', 1);
  const colon = decoded.indexOf(':');
  const user = (colon < 0 ? username : decoded.slice(0, colon)) ?? '';
  if (identitytoken) return { username: user, secret: identitytoken, identity: true };
  const secret = (colon < 0 ? password : decoded.slice(colon + 1)) ?? '';
  return user && secret ? { username: user, secret } : undefined;
}

/** Docker Hub's entry has had this name since the first version of its API. */
const HUB = 'https://index.docker.io/v1/';

/** What a registry is called in docker's files and by its helpers. */
export const keyOf = (registry: string): string => (registry === 'docker.io' ? HUB : registry);

/**
 * The key of `entries` that is about a repository: docker writes hosts, older ones URLs, podman
 * also `host/path` prefixes, of which the longest counts.
 */
export function findKey(
  entries: Readonly<Record<string, unknown>>,
  registry: string,
  path?: string,
): string | undefined {
  const names = path === undefined ? [] : path.split('/');
  for (let length = names.length; length >= 0; length--) {
    const name = [registry, ...names.slice(0, length)].join('/');
    if (Object.hasOwn(entries, name)) return name;
  }
  if (Object.hasOwn(entries, keyOf(registry))) return keyOf(registry);
  const aliases =
    registry === 'docker.io'
      ? ['docker.io', 'index.docker.io', 'registry-1.docker.io']
      : [registry];
  return Object.keys(entries).find((key) => aliases.includes(hostOf(key)));
}

const hostOf = (key: string): string => key.replace(/^https?:\/\//, '').split('/', 1)[0]!;
