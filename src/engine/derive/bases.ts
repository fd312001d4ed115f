import { MicaError } from '../../errors.ts';
import type { Image } from '../../image/image.ts';
import { BASE_DIGEST, BASE_NAME } from '../../oci/annotations.ts';
import { formatReference, parseReference, withDefaults } from '../../oci/reference.ts';
import type { Digest } from '../../oci/digest.ts';

/** Names of an image's old and new base. */
export interface Bases {
  readonly oldBase: string;
  readonly newBase: string;
}

type GivenBases = { readonly [name in keyof Bases]?: string | undefined };

/** As they were named, else as the image's annotations name them. @throws FAILED_PRECONDITION */
export function findBases(image: Image, given: GivenBases): Bases {
  const { [BASE_NAME]: name, [BASE_DIGEST]: digest } = image.manifest.annotations ?? {};
  const oldBase = given.oldBase ?? (name && digest && withDigest(name, digest));
  const newBase = given.newBase ?? name;
  if (oldBase && newBase) return { oldBase, newBase };
  throw new MicaError(
    'FAILED_PRECONDITION',
    `the image has no annotations that say what it was built on; name its base with ${oldBase ? '' : '--old-base'}${oldBase || newBase ? '' : ' and '}${newBase ? '' : '--new-base'}`,
  );
}

function withDigest(name: string, digest: string): string {
  const { domain, path } = withDefaults(parseReference(name));
  return formatReference({ domain, path, digest: digest as Digest });
}
