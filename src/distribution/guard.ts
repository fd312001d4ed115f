import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { Refusal } from './exchange.ts';

const READ_METHODS = new Set(['GET', 'HEAD']);

/**
 * Refuses what a web page makes a browser send: a request under a name that is not ours (an
 * attacker's name that resolves to this address), or one from another origin. Registry clients
 * send neither `Origin` nor `Sec-Fetch-Site`. An address cannot be rebound, so any is fine.
 */
export function checkBrowser({ headers }: IncomingMessage, hosts: readonly string[]): void {
  const host = hostOf(headers.host);
  if (host === undefined)
    throw new Refusal(400, 'UNSUPPORTED', 'the request has no valid Host header');
  if (!isIP(host) && host !== 'localhost' && !hosts.some((name) => name.toLowerCase() === host))
    throw new Refusal(403, 'DENIED', `this registry does not answer to the name ${host}`);
  const site = headers['sec-fetch-site'] ?? 'none';
  if (headers.origin !== undefined || site === 'cross-site' || site === 'same-site')
    throw new Refusal(403, 'DENIED', 'requests that web pages make are refused');
}

/** The host without its port, lower case, IPv6 without brackets. */
function hostOf(header: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(header ?? '');
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

/**
 * Whoever changes something needs the token, as a bearer token or as the password of any user.
 * Reading needs none, but wrong credentials are refused, and `/v2/` asks for them: clients find out
 * there whether and how to log in.
 * @param token `undefined`: the registry is read-only, and credentials are ignored
 */
export function checkToken(
  { headers, method }: IncomingMessage,
  isBase: boolean,
  token: string | undefined,
): void {
  if (token === undefined) return;
  const given = secretOf(headers.authorization);
  if (given === undefined && READ_METHODS.has(method ?? '') && !isBase) return;
  if (given !== undefined && same(given, token)) return;
  throw new Refusal(
    401,
    'UNAUTHORIZED',
    given === undefined ? 'this needs the registry’s token' : 'the token is wrong',
    { 'WWW-Authenticate': 'Basic realm="mica registry", charset="UTF-8"' },
  );
}

function secretOf(authorization: string | undefined): string | undefined {
  const [scheme, value] = /^(\S+) +(\S+)\s*$/.exec(authorization ?? '')?.slice(1) ?? [];
  switch (scheme?.toLowerCase()) {
    case 'bearer':
      return value;
    case 'basic': {
      const pair = Buffer.from(value!, 'base64').toString();
      // What skopeo and podman send, once asked, when they have no credentials.
      return pair === ':' ? undefined : pair.slice(pair.indexOf(':') + 1);
    }
    default:
      return authorization === undefined ? undefined : '';
  }
}

/** Tells nothing about how much of it was right. */
const same = (a: string, b: string): boolean =>
  timingSafeEqual(hash('sha256', a, 'buffer'), hash('sha256', b, 'buffer'));
