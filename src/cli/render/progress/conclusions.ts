import type { PullResult } from '../../../engine/pull/pull.ts';
import type { CopyResult, LoadedImage, PushResult } from '../../../engine/transfer/transfer.ts';
import { familiar, parseReference } from '../../../oci/reference.ts';
import { shortName } from '../name.ts';
import type { Conclusion } from './renderer.ts';

/** What a pull came to: docker's last three lines. */
export function pullConclusion(result: PullResult): Conclusion {
  const { reference, target, upToDate } = result;
  const name = shortName(reference);
  return {
    lines: [
      `Digest: ${target.digest}`,
      `Status: ${upToDate ? 'Image is up to date for' : 'Downloaded newer image for'} ${name}`,
      familiar(parseReference(reference)) === reference ? name : reference,
    ],
    fact: { type: 'pulled', ...pulled(result) },
  };
}

/** What a pull came to, for programs. */
export const pulled = ({
  reference,
  image,
  target,
  upToDate,
  bytesFetched,
}: PullResult): object => ({
  reference,
  id: image.id,
  digest: target.digest,
  upToDate,
  bytesFetched,
});

/** docker's last line. */
export function pushConclusion(result: PushResult): Conclusion {
  const { reference, target } = result;
  const { tag = '' } = parseReference(reference);
  return {
    lines: [`${tag}: digest: ${target.digest} size: ${target.size}`],
    fact: { type: 'pushed', ...pushed(result) },
  };
}

/** What a push came to, for programs. */
export const pushed = ({ reference, target, bytesSent }: PushResult): object => ({
  reference,
  digest: target.digest,
  size: target.size,
  bytesSent,
});

/** docker's lines, one for each name. */
export function loadConclusion(loaded: readonly LoadedImage[]): Conclusion {
  const images = loaded.map(loadedImage);
  const fact = { type: 'loaded', images };
  return {
    lines: loaded.flatMap(({ image, references, replaced }) => [
      ...replaced.map((id) => `The image ${id} had the name before`),
      ...(references.length === 0
        ? [`Loaded image ID: ${image.id}`]
        : references.map((name) => `Loaded image: ${shortName(name)}`)),
    ]),
    fact,
  };
}

/** What was loaded, for programs. */
export const loadedImage = ({ image, references }: LoadedImage): object => ({
  id: image.id,
  digest: image.manifestDescriptor.digest,
  references,
});

export const copyConclusion = (result: CopyResult): Conclusion => ({
  lines: [`Digest: ${result.target.digest}`],
  fact: { type: 'copied', ...copied(result) },
});

/** What a copy came to, for programs. */
export const copied = ({ target, image }: CopyResult): object => ({
  digest: target.digest,
  mediaType: target.mediaType,
  ...(image && { id: image.id }),
});
