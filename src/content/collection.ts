import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import { IMAGE_NAME, REF_NAME } from '../oci/annotations.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { formatReference, parseReference, withDefaults } from '../oci/reference.ts';
import type { Source, Tags } from './content.ts';

/** Images in one place, with names: an OCI layout, an archive. */
export interface Collection extends Source, Pick<Tags, 'resolve'> {
  /** Where it is, for messages. */
  readonly name: string;
  has(target: Descriptor, options?: Abortable): Promise<boolean>;
  /** Manifests and indexes, once for each name; the names are annotations. */
  list(): readonly Descriptor[];
}

/** The whole name of an image: `docker.io/library/redis:7`, or what the collection calls it. */
export const nameOf = ({ annotations }: Descriptor): string | undefined =>
  annotations?.[IMAGE_NAME] ?? annotations?.[REF_NAME];

/**
 * The one image that `reference` means: a name or tag of it, or a digest; `''` the only image that
 * there is.
 * @throws NOT_FOUND · INVALID_ARGUMENT when it means several
 */
export function resolveIn(collection: Collection, reference: string): Descriptor {
  const all = collection.list();
  const meant = reference === '' ? all : all.filter((entry) => isNamed(entry, reference));
  const [first] = meant;
  const names = [...new Set(all.map((entry) => nameOf(entry) ?? entry.digest))].join(', ');
  if (first === undefined)
    throw new MicaError(
      'NOT_FOUND',
      reference === ''
        ? `there is no image in ${collection.name}`
        : `nothing is named ${reference} in ${collection.name}, which has ${names || 'no image'}`,
    );
  if (meant.some(({ digest }) => digest !== first.digest))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${collection.name} has several images${reference && ` named ${reference}`}; say which: ${names}`,
    );
  return first;
}

function isNamed({ digest, annotations }: Descriptor, reference: string): boolean {
  if (digest === reference || annotations?.[REF_NAME] === reference) return true;
  const name = annotations?.[IMAGE_NAME];
  return name !== undefined && (name === reference || inFull(name) === inFull(reference));
}

/** `undefined`: it is no name of an image. */
export function inFull(name: string): string | undefined {
  try {
    return formatReference(withDefaults(parseReference(name)));
  } catch {
    return undefined;
  }
}
