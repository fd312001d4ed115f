import { hexOf, type Digest } from '../../oci/digest.ts';
import { familiar, parseReference } from '../../oci/reference.ts';

/** The twelve digits by which people know an image or a layer. */
export const shortId = (digest: Digest): string => hexOf(digest).slice(0, 12);

/** A reference as docker prints it: `redis:latest`. */
export const shortName = (reference: string): string => familiar(parseReference(reference));

/** What to call an image in one word: its first name, else its short ID. */
export function imageName({
  id,
  references,
}: {
  readonly id: Digest;
  readonly references: readonly string[];
}): string {
  const [first] = references;
  return first === undefined ? shortId(id) : shortName(first);
}
