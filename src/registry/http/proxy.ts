import { BlockList, isIP } from 'node:net';
import { MicaError } from '../../errors.ts';
import type { ProxyOptions } from '../options.ts';

/** The proxy through which `url` is reached, by the rules of curl and Go; `undefined`: none. */
export function proxyFor(url: URL, { http, https, no = '' }: ProxyOptions): URL | undefined {
  const proxy = url.protocol === 'https:' ? https : http;
  if (!proxy || isLoopback(url.hostname) || isExempt(url, no)) return undefined;
  const parsed = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`);
  if (parsed && /^(?:https?|socks5?):$/.test(parsed.protocol)) return parsed;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `the proxy for ${url.protocol}// is not the URL of an HTTP or SOCKS5 proxy`,
  );
}

/** Whether `hostname` (of a URL: IPv6 in brackets) is this machine. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}

function isExempt({ hostname, port, protocol }: URL, no: string): boolean {
  const actual = port || (protocol === 'https:' ? '443' : '80');
  return no
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry === '*' || (entry !== '' && matchesHost(entry, hostname, actual)));
}

/**
 * Whether `pattern` covers a host: itself and its subdomains (`.example.com`: these only), an
 * address, a CIDR block; with `:port` on that port only.
 */
export function matchesHost(pattern: string, hostname: string, port: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  if (pattern.includes('/')) return inBlock(pattern, bare);
  const [, host = pattern, wanted] = /^(\[[^\]]+\]|[^:]+):(\d+)$/.exec(pattern) ?? [];
  if (wanted !== undefined && wanted !== port) return false;
  const name = host.replace(/^\[|\]$/g, '').replace(/^\*(?=\.)/, '');
  if (isIP(name)) return name === bare;
  return bare === name || bare.endsWith(name.startsWith('.') ? name : `.${name}`);
}

/** Whether the CIDR block `pattern` holds the address. */
export function inBlock(pattern: string, address: string): boolean {
  const family = isIP(address);
  const [network = '', prefix = ''] = pattern.split('/');
  if (family === 0 || isIP(network) !== family || !/^\d{1,3}$/.test(prefix)) return false;
  if (Number(prefix) > (family === 4 ? 32 : 128)) return false;
  const block = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  block.addSubnet(network, Number(prefix), type);
  return block.check(address, type);
}
