import type { RegistryBackend } from './backend/backend.ts';
import { type Exchange, Refusal, sendJson } from './exchange.ts';

/** Entries on a page unless the client asks for fewer: the rest is behind `Link`. */
const MAX_PAGE = 10_000;

/** Tags of a repository. */
export async function listTags(
  exchange: Exchange,
  backend: RegistryBackend,
  name: string,
): Promise<void> {
  const all = await backend.tags(name);
  if (!all) throw new Refusal(404, 'NAME_UNKNOWN', `there is no repository ${name}`);
  sendPage(exchange, all, `/v2/${name}/tags/list`, (tags) => ({ name, tags }));
}

/** Names of the repositories. Not of the OCI specification: Docker's registry and its users have it. */
export async function listRepositories(
  exchange: Exchange,
  backend: RegistryBackend,
): Promise<void> {
  const all = await backend.repositories();
  sendPage(exchange, all, '/v2/_catalog', (repositories) => ({ repositories }));
}

/**
 * The entries after `?last=`, at most `?n=` of them.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
function sendPage(
  exchange: Exchange,
  all: readonly string[],
  path: string,
  body: (page: readonly string[]) => unknown,
): void {
  const limit = limitOf(exchange.query.get('n'));
  const last = exchange.query.get('last');
  const rest = all.filter((entry) => last === null || compare(entry, last) > 0).sort(compare);
  const page = rest.slice(0, limit);
  const next = new URLSearchParams({ n: String(limit), last: page.at(-1) ?? '' });
  const more = page.length > 0 && page.length < rest.length;
  sendJson(
    exchange,
    200,
    body(page),
    more ? { Link: `<${path}?${next.toString()}>; rel="next"` } : {},
  );
}

function limitOf(n: string | null): number {
  if (n === null) return MAX_PAGE;
  if (/^\d{1,9}$/.test(n)) return Math.min(Number(n), MAX_PAGE);
  throw new Refusal(400, 'UNSUPPORTED', `n=${n.slice(0, 100)} is not a number of entries`);
}

/** "Lexical (i.e. case-insensitive alphanumeric) order"; among equals upper case first, so that the order is total. */
function compare(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  if (x !== y) return x < y ? -1 : 1;
  return a < b ? -1 : Number(a > b);
}
