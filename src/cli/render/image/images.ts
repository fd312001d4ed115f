import type { StoredImage } from '../../../engine/stored-image.ts';
import { familiar, parseReference, repositoryOf } from '../../../oci/reference.ts';
import { Struct } from '../../template/value.ts';
import { shortId } from '../name.ts';
import { ago, size, timeOf } from '../quantity.ts';

/** One line of `mica images`. */
export interface ImageRow {
  readonly image: StoredImage;
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const NONE = '<none>';

/**
 * A line for each tag (with `digests`: for each digest of its repository), and for each repository
 * of which only digests are known; an image without any name has one, too.
 */
export function imageRows(image: StoredImage, digests: boolean): ImageRow[] {
  const tags = image.references.toSorted().map(parseReference);
  const known = image.repoDigests.toSorted().map(parseReference);
  const digestsOf = (repository: string): string[] =>
    known
      .filter((reference) => repositoryOf(reference) === repository)
      .map(({ digest }) => digest!);
  const rows = tags.flatMap((reference) => {
    const { tag = NONE } = reference;
    const of = digests ? digestsOf(repositoryOf(reference)) : [];
    return (of.length > 0 ? of : [NONE]).map((digest) =>
      row(image, nameOf(reference), tag, digest),
    );
  });
  const tagged = new Set(tags.map(repositoryOf));
  const others = [
    ...new Map(known.map((reference) => [repositoryOf(reference), reference])).values(),
  ]
    .filter((reference) => !tagged.has(repositoryOf(reference)))
    .flatMap((reference) =>
      (digests ? digestsOf(repositoryOf(reference)) : [NONE]).map((digest) =>
        row(image, nameOf(reference), NONE, digest),
      ),
    );
  const all = [...rows, ...others];
  return all.length > 0 ? all : [row(image, NONE, NONE, NONE)];
}

const row = (image: StoredImage, repository: string, tag: string, digest: string): ImageRow => ({
  image,
  repository,
  tag,
  digest,
});

const nameOf = ({ domain, path }: { domain: string; path: string }): string =>
  familiar({ domain, path });

/** Names of the fields at the top of docker's table. */
export const IMAGE_HEADING: Struct = new Struct({
  Containers: 'CONTAINERS',
  CreatedAt: 'CREATED AT',
  CreatedSince: 'CREATED',
  Digest: 'DIGEST',
  ID: 'IMAGE ID',
  Repository: 'REPOSITORY',
  SharedSize: 'SHARED SIZE',
  Size: 'SIZE',
  Tag: 'TAG',
  UniqueSize: 'UNIQUE SIZE',
  VirtualSize: 'VIRTUAL SIZE',
});

/** What `--format` templates see of a line. */
export function imageFields({ image, repository, tag, digest }: ImageRow, trunc: boolean): Struct {
  const created = timeOf(image.config.created);
  const total = size(image.size);
  return new Struct(
    {
      Containers: 'N/A',
      CreatedAt: goString(created),
      CreatedSince: ago(created),
      Digest: digest,
      ID: trunc ? shortId(image.id) : image.id,
      Repository: repository,
      SharedSize: 'N/A',
      Size: total,
      Tag: tag,
      UniqueSize: 'N/A',
      VirtualSize: total,
    },
    { type: 'image' },
  );
}

/** As Go prints a time, in UTC. */
const goString = (time: Date): string =>
  `${time.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
