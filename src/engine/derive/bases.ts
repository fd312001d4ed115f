import { inFull } from '../../content/collection.ts';
import type { Database } from '../../db/database.ts';
import { imageOfManifest } from '../../db/images.ts';
import { MicaError } from '../../errors.ts';
import type { Image } from '../../image/image.ts';
import { BASE_DIGEST, BASE_NAME } from '../../oci/annotations.ts';
import { formatReference, parseReference, withDefaults } from '../../oci/reference.ts';
import type { Digest } from '../../oci/digest.ts';
import type { StoredImage } from '../stored-image.ts';

/** Names of an image's old and new base. */
export interface Bases {
  readonly oldBase: string;
  readonly newBase: string;
}

type GivenBases = { readonly [name in keyof Bases]?: string | undefined };

/** As they were named, else as the image's annotations name them. @throws FAILED_PRECONDITION */
export function findBases(db: Database, image: Image, given: GivenBases): Bases {
  const { [BASE_NAME]: name, [BASE_DIGEST]: digest } = image.manifest.annotations ?? {};
  const oldBase = given.oldBase ?? (digest && annotatedBase(db, name, digest));
  const newBase = given.newBase ?? name;
  if (oldBase && newBase) return { oldBase, newBase };
  throw new MicaError(
    'FAILED_PRECONDITION',
    `the image has no annotations that say what it was built on; name its base with ${oldBase ? '' : '--old-base'}${oldBase || newBase ? '' : ' and '}${newBase ? '' : '--new-base'}`,
  );
}

/**
 * The annotation has the digest of a manifest, under which no image need be known here: it may have
 * come by an index, or from nowhere. What is not here is named so that it can be pulled.
 */
const annotatedBase = (
  db: Database,
  name: string | undefined,
  digest: string,
): string | undefined => imageOfManifest(db, digest) ?? (name && withDigest(name, digest));

/** What a rebased image says of its base: the name that it was given by, if it has that, and its manifest. */
export function annotationsOf(
  { annotations = {} }: Image['manifest'],
  base: { readonly name: string; readonly stored: StoredImage; readonly image: Image },
): Readonly<Record<string, string>> {
  const { references } = base.stored;
  const given = inFull(base.name);
  const name = references.find((reference) => reference === given) ?? references[0];
  const { [BASE_NAME]: _, ...others } = annotations;
  return {
    ...others,
    ...(name !== undefined && { [BASE_NAME]: name }),
    [BASE_DIGEST]: base.image.descriptor.digest,
  };
}

function withDigest(name: string, digest: string): string {
  const { domain, path } = withDefaults(parseReference(name));
  return formatReference({ domain, path, digest: digest as Digest });
}
