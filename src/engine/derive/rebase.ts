import { isDeepStrictEqual } from 'node:util';
import { MicaError } from '../../errors.ts';
import { rebaseFindings, type RebaseFinding } from '../../explain/rebase.ts';
import { fittedHistory, stepsBelow } from '../../image/history.ts';
import type { Image } from '../../image/image.ts';
import { mutate } from '../../image/mutate.ts';
import { type RebasedConfig, rebaseConfig } from '../../image/rebase-config.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { History } from '../../oci/config.ts';
import { matchPlatform } from '../../oci/choose-platform.ts';
import { compressionOf, formatOf } from '../../oci/media-type.ts';
import { formatPlatform } from '../../oci/platform.ts';
import type { UnionTree } from '../../union/tree.ts';
import { openUnion, type UnionLayer } from '../../union/union.ts';
import type { Context, Store } from '../context.ts';
import type { StoredImage } from '../stored-image.ts';
import { unionLayersOf } from '../tree.ts';
import { annotationsOf, findBases } from './bases.ts';
import type { RebaseOptions, RebaseResult } from './derive.ts';
import { derive, loadStored, type Original } from './derived.ts';

/** @see Engine.rebase */
export async function rebase(
  context: Context,
  name: string,
  options: RebaseOptions = {},
): Promise<RebaseResult> {
  let findings: readonly RebaseFinding[] = [];
  const image = await derive(context, { verb: 'rebase', name }, options, async (original) => {
    const loaded = await rebasingOf(original, options);
    const merged = rebaseConfig(
      loaded.oldBase.image.config.config ?? {},
      original.image.config.config ?? {},
      loaded.newBase.image.config.config ?? {},
    );
    findings = await findingsOf(original.store, loaded, merged, options);
    const unsafe = findings.filter((finding) => finding.unsafe);
    if (unsafe.length > 0 && !options.force) throw refused(unsafe);
    return composed(loaded, merged);
  });
  return { image, findings };
}

interface Loaded {
  readonly stored: StoredImage;
  readonly image: Image;
}

interface Rebasing extends Loaded {
  readonly oldBase: Loaded;
  readonly newBase: Loaded & { readonly name: string };
}

async function rebasingOf(original: Original, options: RebaseOptions): Promise<Rebasing> {
  const { store, lease, stored, image } = original;
  const names = findBases(store.db, image, options);
  const oldBase = await loadStored(store, lease, names.oldBase);
  const newBase = await loadStored(store, lease, names.newBase);
  const below = oldBase.image.layers;
  const fits = below.every(({ diffId }, at) => image.layers[at]?.diffId === diffId);
  if (!fits || below.length > image.layers.length)
    throw new MicaError(
      'FAILED_PRECONDITION',
      `the image does not begin with the layers of ${names.oldBase}, so it was not built on it; \`mica tree --layers\` shows on what it may have been`,
    );
  return { stored, image, oldBase, newBase: { ...newBase, name: names.newBase } };
}

/** How many findings an error names. */
const NAMED = 5;

function refused(unsafe: readonly RebaseFinding[]): MicaError {
  const named = unsafe.slice(0, NAMED).map(({ subject, message }) => `${subject} ${message}`);
  const more = unsafe.length > NAMED ? `; and ${unsafe.length - NAMED} more` : '';
  return new MicaError(
    'FAILED_PRECONDITION',
    `not safe: ${named.join('; ')}${more}; build the image anew, or use --force`,
  );
}

async function findingsOf(
  { db }: Store,
  { stored, image, oldBase, newBase }: Rebasing,
  { config, conflicts }: RebasedConfig,
  options: Abortable,
): Promise<RebaseFinding[]> {
  const [oldLayers, newLayers] = [oldBase.image.layers.length, newBase.image.layers.length];
  const [own, below] = [unionLayersOf(db, stored), unionLayersOf(db, newBase.stored)];
  await using opened = new AsyncDisposableStack();
  const treeOf = (layers: readonly UnionLayer[]): UnionTree =>
    opened.use(openUnion(layers, { os: image.config.os }));
  const trees = {
    oldBase: treeOf(unionLayersOf(db, oldBase.stored)),
    newBase: treeOf(below),
    image: treeOf(own),
    rebased: treeOf([...below, ...own.slice(oldLayers)]),
    oldLayers,
    newLayers,
  };
  return [
    ...platformFindings(image, newBase.image),
    ...conflicts.map(
      ({ field, image: mine, newBase: theirs }): RebaseFinding => ({
        unsafe: /^(?:Env |User$|WorkingDir$)/.test(field),
        kind: 'config',
        subject: field,
        message: `is ${JSON.stringify(mine) ?? 'unset'} in the image and ${JSON.stringify(theirs) ?? 'unset'} in the new base`,
      }),
    ),
    ...entrypointFindings(oldBase.image, image, newBase.image),
    ...(await rebaseFindings(trees, config.User ?? '', options)),
  ];
}

function platformFindings({ config }: Image, newBase: Image): RebaseFinding[] {
  if (matchPlatform(config, newBase.config)) return [];
  const message = `is ${formatPlatform(newBase.config)} in the new base, and ${formatPlatform(config)} in the image`;
  return [{ unsafe: true, kind: 'platform', subject: 'platform', message }];
}

/** A command of the image that was meant for an entry point of the base. */
function entrypointFindings(oldBase: Image, image: Image, newBase: Image): RebaseFinding[] {
  const [was, own, now] = [oldBase, image, newBase].map(({ config }) => ({
    entrypoint: JSON.stringify(config.config?.Entrypoint ?? []),
    cmd: JSON.stringify(config.config?.Cmd ?? []),
  }));
  const isInherited = own!.entrypoint === was!.entrypoint;
  if (!isInherited || own!.cmd === was!.cmd || now!.entrypoint === was!.entrypoint) return [];
  const message = `becomes ${now!.entrypoint}, and the image's command was meant for ${was!.entrypoint}`;
  return [{ unsafe: true, kind: 'config', subject: 'Entrypoint', message }];
}

function composed(
  { image, oldBase, newBase }: Rebasing,
  { config }: RebasedConfig,
): ReturnType<typeof mutate> {
  const count = oldBase.image.layers.length;
  const own = ownSteps(image, oldBase.image);
  const layers = [...newBase.image.layers, ...image.layers.slice(count)];
  const isZstd = layers.some(({ descriptor }) => compressionOf(descriptor.mediaType) === 'zstd');
  return mutate(image, {
    config: { ...image.config, config, history: [...fittedHistory(newBase.image.config), ...own] },
    layers,
    format: isZstd ? 'oci' : formatOf(image.descriptor.mediaType),
    annotations: annotationsOf(image.manifest, newBase),
  });
}

/** What the image's history has beyond that of the base it was built on. */
function ownSteps(image: Image, oldBase: Image): readonly History[] {
  const [all, base] = [fittedHistory(image.config), fittedHistory(oldBase.config)];
  if (isDeepStrictEqual(all.slice(0, base.length), base)) return all.slice(base.length);
  return all.slice(stepsBelow(all, oldBase.layers.length));
}
