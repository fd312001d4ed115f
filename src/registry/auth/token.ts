import { MicaError } from '../../errors.ts';
import { harmless, RegistryError } from '../error.ts';
import type { Client } from '../http/client.ts';
import { shown } from '../http/failure.ts';
import { isLoopback } from '../http/proxy.ts';
import type { Credential } from '../options.ts';

/** What a registry's 401 says about where tokens come from. */
export interface TokenServer {
  readonly realm: string;
  readonly service: string | undefined;
  /** The URL of the registry that named it. */
  readonly registry: URL;
}

export interface Token {
  readonly value: string;
  /** On the clock of `performance.now()`. */
  readonly expires: number;
}

export interface TokenRequest {
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CLIENT_ID = 'mica';
const MAX_SIZE = 1024 * 1024;
/** The specification's default, in seconds. */
const DEFAULT_EXPIRY = 60;
/** Who needs the token tries again as a whole; what is tried so often so often takes minutes. */
const ONCE = 1;

/**
 * Gets a token for `scopes`.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/ · oauth/
 * @throws UNAUTHENTICATED when the credential is refused · PERMISSION_DENIED when it would have to be sent in clear
 */
export async function fetchToken(
  client: Client,
  server: TokenServer,
  request: TokenRequest,
): Promise<Token> {
  const realm = checkRealm(server, request.credential);
  const started = performance.now();
  const response =
    (request.credential?.identity && (await post(client, realm, server, request))) ||
    (await get(client, realm, server, request));
  return parseToken(await response.body.bytes(MAX_SIZE, shown(realm)), realm, started);
}

/** Passwords in a query or in a log are lost, so they travel in a header only. */
async function get(
  client: Client,
  realm: URL,
  { service }: TokenServer,
  { scopes, credential, signal }: TokenRequest,
): ReturnType<Client['request']> {
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  url.searchParams.set('client_id', CLIENT_ID);
  if (credential?.username) url.searchParams.set('account', credential.username);
  const originHeaders = credential && { authorization: basic(credential) };
  return client.request({ method: 'GET', url, originHeaders, attempts: ONCE, signal });
}

/** `undefined`: the server knows only the older way. */
async function post(
  client: Client,
  realm: URL,
  { service }: TokenServer,
  { scopes, credential, signal }: TokenRequest,
): Promise<Awaited<ReturnType<Client['request']>> | undefined> {
  const body = Buffer.from(
    new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credential?.secret ?? '',
      service: service ?? '',
      scope: scopes.join(' '),
      client_id: CLIENT_ID,
    }).toString(),
  );
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(body.byteLength),
  };
  // A redirect would carry the token in the body to another origin.
  const response = await client.request({
    method: 'POST',
    url: realm,
    originHeaders: headers,
    body: () => body,
    redirect: false,
    allow: [404, 405],
    attempts: ONCE,
    signal,
  });
  if (response.status < 400) return response;
  await response.body.discard();
  return undefined;
}

export const basic = ({ username, secret }: Credential): string =>
  `Basic ${Buffer.from(`${username || '<token>'}:${secret}`).toString('base64')}`;

/** Credentials go over https, or to the host that they are for, or stay on this machine. */
function checkRealm({ realm, registry }: TokenServer, credential: Credential | undefined): URL {
  const url = URL.parse(realm);
  if (!url || !/^https?:$/.test(url.protocol))
    throw new MicaError(
      'UNAUTHENTICATED',
      `${registry.host} sends us for a token to ${JSON.stringify(harmless(realm, 200))}, which is not a URL`,
    );
  const clear = url.protocol === 'http:';
  const trusted = url.hostname === registry.hostname || isLoopback(url.hostname);
  if (clear && (registry.protocol === 'https:' || (credential && !trusted)))
    throw new MicaError(
      'PERMISSION_DENIED',
      `${registry.host} sends us for a token to plain HTTP on ${url.host}, which is refused`,
    );
  url.username = url.password = url.hash = '';
  return url;
}

function parseToken(bytes: Uint8Array, realm: URL, started: number): Token {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new MicaError('UNAUTHENTICATED', `${shown(realm)} did not answer with a token`, {
      cause,
    });
  }
  const { token, access_token, expires_in } = Object(value) as Record<string, unknown>;
  const text = token || access_token;
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text))
    throw new RegistryError(`${shown(realm)} did not answer with a token`, {
      status: 401,
      url: shown(realm),
      errors: [],
    });
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : DEFAULT_EXPIRY;
  return {
    value: text,
    // Used up a little early, so that it does not expire on its way.
    expires: started + seconds * 900,
  };
}
