import { hash } from 'node:crypto';
import { MicaError } from '../errors.ts';

declare const brand: unique symbol;
type Brand<Name extends string> = { readonly [brand]: Name };

/** Content address of bytes as stored: `sha256:` + 64 lower-case hex digits, or `sha512:` + 128. */
export type Digest = `${'sha256' | 'sha512'}:${string}`;
/** Digest of a layer's *uncompressed* tar. Never interchangeable with the blob's `Digest`. */
export type DiffId = Digest & Brand<'DiffId'>;
/** Identity of a layer *applied on top of its parents*; the name of its committed snapshot. */
export type ChainId = Digest & Brand<'ChainId'>;

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export const isDigest = (text: string): text is Digest => DIGEST.test(text);

/** @throws INVALID_ARGUMENT unless `text` is a sha256 or sha512 digest in its canonical spelling. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text.slice(0, 200))} is not a digest`);
}

/** The digits after the algorithm. */
export const hexOf = (digest: Digest): string => digest.slice(digest.indexOf(':') + 1);

export const algorithmOf = (digest: Digest): 'sha256' | 'sha512' =>
  digest.startsWith('sha512:') ? 'sha512' : 'sha256';

export const sha256 = (bytes: Uint8Array | string): Digest => `sha256:${hash('sha256', bytes)}`;

/**
 * Chain identities of a layer stack, bottom first.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#layer-chainid
 */
export function chainIds(diffIds: readonly DiffId[]): ChainId[] {
  const chain: ChainId[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    const id: Digest = parent ? sha256(`${parent} ${diffId}`) : diffId;
    chain.push(id as ChainId);
  }
  return chain;
}
