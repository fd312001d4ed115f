import { MicaError } from '../errors.ts';
import { type Digest, isDigest } from './digest.ts';

/**
 * Where an image is, in full: `docker.io/library/redis:latest@sha256:…`.
 * @see https://github.com/distribution/reference/blob/v0.6.0/reference.go
 */
export interface Reference {
  /** Host, with the port if it has one: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** The repository within the registry: `library/redis`. */
  readonly path: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

const DOCKER_HUB = 'docker.io';
/** Docker Hub's name of 2013, still found in scripts. */
const LEGACY_HUB = 'index.docker.io';
const OFFICIAL = 'library/';
const MAX_PATH = 255;
/** Longer than any valid reference; keeps the patterns below from meeting megabytes. */
const MAX_LENGTH = 1024;

const LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`);
const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const TAG = /^\w[\w.-]{0,127}$/;
const IMAGE_ID = /^[a-f0-9]{64}$/;

export const isTag = (text: string): boolean => TAG.test(text);

/** Whether `path` may name a repository, without its registry. */
export const isRepositoryPath = (path: string): boolean =>
  path.length <= MAX_PATH && PATH.test(path);

/**
 * Reads what people type and completes it as Docker does: `redis` is `docker.io/library/redis`. The
 * tag stays absent when it is not given: see {@link withDefaults}.
 *
 * @throws INVALID_ARGUMENT
 */
export function parseReference(text: string): Reference {
  if (text === '') throw invalid(text, 'it is empty');
  if (text.length > MAX_LENGTH) throw invalid(text, 'it is too long');
  if (IMAGE_ID.test(text))
    throw invalid(text, '64 hexadecimal digits are an image ID, not the name of an image');
  const [name, tag, digest] = splitSuffixes(text);
  const [domain, path] = splitDomain(name);
  if (!DOMAIN.test(domain)) throw invalid(text, `${quote(domain)} is not a host`);
  checkPath(text, name, path);
  if (tag !== undefined && !isTag(tag))
    throw invalid(text, `${quote(tag)} is not a tag (up to 128 letters, digits, "_", "." and "-")`);
  if (digest !== undefined && !isDigest(digest))
    throw invalid(text, `${quote(digest)} is not a sha256 or sha512 digest`);
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest && { digest }) };
}

/** The full text: `domain/path[:tag][@digest]`. */
export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${domain}/${path}${tag === undefined ? '' : `:${tag}`}${digest ? `@${digest}` : ''}`;
}

/** The repository, without tag and digest: `docker.io/library/redis`. */
export const repositoryOf = ({ domain, path }: Reference): string => `${domain}/${path}`;

/** Adds `:latest` where neither a tag nor a digest says which image is meant. */
export function withDefaults(reference: Reference): Reference {
  const named = reference.tag !== undefined || reference.digest !== undefined;
  return named ? reference : { ...reference, tag: 'latest' };
}

/** The shortest text that means the same, as Docker prints it: `redis:latest`. */
export function familiar(reference: Reference): string {
  const full = formatReference(reference);
  if (reference.domain !== DOCKER_HUB) return full;
  const short = full.slice(DOCKER_HUB.length + 1);
  // `docker.io/a.b/c` without its domain would be a repository of the host a.b.
  for (const text of [short.startsWith(OFFICIAL) ? short.slice(OFFICIAL.length) : short, short])
    if (meansSame(text, full)) return text;
  return full;
}

function meansSame(text: string, full: string): boolean {
  try {
    return formatReference(parseReference(text)) === full;
  } catch {
    return false;
  }
}

function splitSuffixes(
  text: string,
): [name: string, tag: string | undefined, digest: string | undefined] {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.indexOf(':', rest.lastIndexOf('/') + 1);
  return colon < 0
    ? [rest, undefined, digest]
    : [rest.slice(0, colon), rest.slice(colon + 1), digest];
}

/** Docker's rule: what stands before the first slash is a host if it looks like one. */
function splitDomain(name: string): [domain: string, path: string] {
  const slash = name.indexOf('/');
  const first = name.slice(0, slash);
  const isHost =
    slash >= 0 && (first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase());
  const domain = !isHost || first === LEGACY_HUB ? DOCKER_HUB : first;
  const path = isHost ? name.slice(slash + 1) : name;
  return [domain, domain === DOCKER_HUB && !path.includes('/') ? OFFICIAL + path : path];
}

function checkPath(text: string, name: string, path: string): void {
  if (path !== path.toLowerCase())
    throw invalid(
      text,
      `a repository is written in lower case; try ${quote(text.replace(name, name.toLowerCase()))}`,
    );
  if (!PATH.test(path))
    throw invalid(
      text,
      `${quote(path)} is not a repository (letters and digits, joined by ".", "_", "__" or "-", in parts between "/")`,
    );
  if (path.length > MAX_PATH)
    throw invalid(text, `a repository has at most ${MAX_PATH} characters`);
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 200));

const invalid = (text: string, reason: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `${quote(text)} is not an image reference: ${reason}`);
