import { join } from 'node:path';
import { statSync } from 'node:fs';
import { openArchive } from '../../content/archive/open-archive.ts';
import { type Collection, inFull, nameOf } from '../../content/collection.ts';
import { openLayout } from '../../content/layout.ts';
import { findReference } from '../../db/references.ts';
import { MicaError } from '../../errors.ts';
import type { Bytes } from '../../io/bytes.ts';
import { IMAGE_NAME } from '../../oci/annotations.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { parseReference, withDefaults } from '../../oci/reference.ts';
import type { Context } from '../context.ts';
import { bringImage } from '../publish/bring-image.ts';
import { chooseWhole, inEither } from './choose-whole.ts';
import type { LoadedImage, LoadOptions } from './transfer.ts';

/** An archive that comes as a stream, and what to call it. */
export interface Streamed {
  readonly bytes: Bytes;
  readonly name: string;
}

/** Archives that come through a pipe are kept here while they are loaded, under no name. */
export const spoolOf = (root: string): string => join(root, 'content', 'ingest');

/** @see Engine.load */
export async function load(
  context: Context,
  from: string | Streamed,
  options: LoadOptions = {},
): Promise<LoadedImage[]> {
  const { signal } = options;
  const store = await context.store();
  await using stack = new AsyncDisposableStack();
  const collection = isDirectory(from)
    ? openLayout(from)
    : stack.use(await openArchive(from, { spool: spoolOf(store.db.root), signal }));
  const loaded: LoadedImage[] = [];
  try {
    for (const found of imagesIn(collection))
      loaded.push(await loadOne(context, collection, found, options));
  } catch (error) {
    if (signal?.aborted || !(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `load ${collection.name}: ${error.message}`, { cause: error });
  }
  if (loaded.length > 0) return loaded;
  throw new MicaError('INVALID_ARGUMENT', `load ${collection.name}: there is no image in it`);
}

const isDirectory = (from: string | Streamed): from is string =>
  typeof from === 'string' && statSync(from, { throwIfNoEntry: false })?.isDirectory() === true;

interface Found {
  readonly targets: readonly Descriptor[];
  readonly names: readonly string[];
}

/** By what they are, since an image may be listed once for each name; those without a name together, by platform. */
function imagesIn(collection: Collection): Found[] {
  const found = new Map<Digest | 'platforms', { targets: Descriptor[]; names: string[] }>();
  for (const target of collection.list()) {
    const name = wholeName(target);
    // One image for several platforms, whose index is the list itself.
    const isOfSeveral = name === undefined && target.platform !== undefined;
    const key = isOfSeveral ? 'platforms' : target.digest;
    const entry = found.get(key) ?? { targets: [], names: [] };
    if (!entry.targets.some(({ digest }) => digest === target.digest)) entry.targets.push(target);
    if (name !== undefined) entry.names.push(name);
    found.set(key, entry);
  }
  return [...found.values()];
}

/** Only a name that says more than a tag; skopeo's layouts have tags alone. */
function wholeName(target: Descriptor): string | undefined {
  const name = nameOf(target);
  if (name === undefined) return undefined;
  if (target.annotations?.[IMAGE_NAME] === undefined && !/[/:]/.test(name)) return undefined;
  const whole = inFull(name);
  if (whole !== undefined) return whole;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(name.slice(0, 200))} is not a name that an image can have`,
  );
}

async function loadOne(
  context: Context,
  collection: Collection,
  { targets, names }: Found,
  options: LoadOptions,
): Promise<LoadedImage> {
  const { content, db } = await context.store();
  const source = inEither(collection, content);
  const { target, read } = await chooseWhole(source, targets, options);
  options.onProgress?.({ type: 'layers', layers: read.image.manifest.layers });
  const previous = names.map((name) => findReference(db, name)?.image);
  const { image } = await bringImage(
    context,
    {
      ...read,
      source,
      target,
      purpose: `load ${names[0] ?? target.digest}`,
      names: names.map((name) => withDefaults(parseReference(name))),
      repositories: [],
    },
    options,
  );
  const replaced = previous.filter((id) => id !== undefined && id !== image.id) as Digest[];
  return { image, references: names, replaced: [...new Set(replaced)] };
}
