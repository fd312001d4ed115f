import { copy } from '../../content/copy.ts';
import { MicaError } from '../../errors.ts';
import { chooseManifest } from '../../image/load.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isForeignLayer, isIndex } from '../../oci/media-type.ts';
import { parseReference, withDefaults } from '../../oci/reference.ts';
import { attempt } from '../attempt.ts';
import type { Context } from '../context.ts';
import { bringImage } from '../publish/bring-image.ts';
import { chooseWhole } from './choose-whole.ts';
import { openDestination } from './destination.ts';
import { warnOfDocker } from './docker-in-layout.ts';
import { type Origin, openOrigin } from './origin.ts';
import { parsePlace } from './place.ts';
import { Sent } from './sent.ts';
import type { CopyOptions, CopyResult } from './transfer.ts';

/** @see Engine.copy */
export async function copyImage(
  context: Context,
  from: string,
  to: string,
  options: CopyOptions = {},
): Promise<CopyResult> {
  return attempt(context, `copy ${from} to ${to}`, options, async () => {
    await using stack = new AsyncDisposableStack();
    const origin = await openOrigin(context, parsePlace(from), stack, options);
    return await toPlace(context, origin, { from, to }, options);
  });
}

async function toPlace(
  context: Context,
  origin: Origin,
  { from, to }: { readonly from: string; readonly to: string },
  options: CopyOptions,
): Promise<CopyResult> {
  const place = parsePlace(to);
  if (place.kind === 'store') return await toStore(context, origin, place.name, options);
  const { signal, all = false, platform } = options;
  const { source } = origin;
  const whole = all || !isIndex(origin.target.mediaType);
  if (whole && !all && platform !== undefined) await chooseWhole(source, [origin.target], options);
  const target = whole
    ? origin.target
    : (await chooseManifest(source, origin.target, options)).manifest;
  const sent = new Sent(options.onProgress ?? (() => {}));
  await using destination = await openDestination(context, place, {
    ...options,
    root: target,
    siblings: origin.repository === undefined ? [] : [origin.repository],
  });
  await copy(source, destination.sink, target, {
    signal,
    concurrency: destination.concurrency,
    want: destination.isRegistry ? isOurs : undefined,
    onProgress: (event) => sent.tell(event),
  });
  await destination.name(bare(target));
  if (place.kind === 'oci' || place.kind === 'oci-archive')
    warnOfDocker(from, target, options.onProgress);
  return { target: bare(target) };
}

/** Layers that their publisher gives out are left to him. */
const isOurs = ({ mediaType }: Descriptor): boolean => !isForeignLayer(mediaType);

/** Without what the origin said about it, such as its name there. */
const bare = ({ mediaType, digest, size, platform }: Descriptor): Descriptor => ({
  mediaType,
  digest,
  size,
  ...(platform && { platform }),
});

async function toStore(
  context: Context,
  { source, target, repository }: Origin,
  name: string,
  options: CopyOptions,
): Promise<CopyResult> {
  if (options.all)
    throw new MicaError(
      'INVALID_ARGUMENT',
      'a name in the store stands for one image; leave out --all, and choose with --platform',
    );
  const reference = withDefaults(parseReference(name));
  if (reference.tag === undefined || reference.digest !== undefined)
    throw new MicaError('INVALID_ARGUMENT', `${name}: a copy gets a tag; leave out the digest`);
  const { read } = await chooseWhole(source, [target], options);
  options.onProgress?.({ type: 'layers', layers: read.image.manifest.layers });
  const { image } = await bringImage(
    context,
    {
      ...read,
      source,
      target: bare(target),
      purpose: `copy to ${name}`,
      names: [reference],
      repositories: repository === undefined ? [] : [`${repository.domain}/${repository.path}`],
    },
    options,
  );
  return { target: image.manifestDescriptor, image };
}
