import * as v from 'valibot';
import { MicaError } from '../errors.ts';
import { type Descriptor, DescriptorSchema } from './descriptor.ts';
import { arrayOf, check, objectOf, optional, parseObject, StringsSchema } from './json.ts';
import * as mediaTypes from './media-type.ts';

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md */
export interface Manifest {
  readonly schemaVersion: 2;
  /** Filled in where the document leaves it out. */
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  /** Base layer first. */
  readonly layers: readonly Descriptor[];
  /** What this manifest says something about: an image it signs, or whose contents it lists. */
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md */
export interface Index {
  readonly schemaVersion: 2;
  /** Filled in where the document leaves it out. */
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Registries refuse manifests larger than this, so no image needs more. */
export const MAX_MANIFEST_SIZE: number = 4 * 1024 * 1024;

const COMMON = {
  schemaVersion: v.literal(2, 'is not 2'),
  artifactType: optional(v.string()),
  subject: optional(DescriptorSchema),
  annotations: optional(StringsSchema),
};

const ManifestSchema: v.GenericSchema<unknown, Omit<Manifest, 'mediaType'>> = objectOf({
  ...COMMON,
  config: DescriptorSchema,
  layers: arrayOf(DescriptorSchema),
});

const IndexSchema: v.GenericSchema<unknown, Omit<Index, 'mediaType'>> = objectOf({
  ...COMMON,
  manifests: arrayOf(DescriptorSchema),
});

/**
 * Reads the untrusted manifest of one image or artifact; unknown fields are kept.
 *
 * @param mediaType what the descriptor or registry called it; the document must not disagree
 * @throws INVALID_ARGUMENT · NOT_IMPLEMENTED for Docker's schema 1
 */
export function parseManifest(bytes: Uint8Array, mediaType?: string): Manifest {
  const kind = { what: 'manifest', limit: MAX_MANIFEST_SIZE };
  const value = parseObject(bytes, kind);
  const type = typeOf(value, mediaType, mediaTypes.OCI_MANIFEST);
  if (!mediaTypes.isManifest(type))
    throw new MicaError('INVALID_ARGUMENT', `manifest: ${type} is not the type of a manifest`);
  refuseOther(value, type, ['manifests']);
  return { ...check(ManifestSchema, value, kind), mediaType: type };
}

/** Reads an untrusted index; unknown fields are kept. Parameter and errors as {@link parseManifest}. */
export function parseIndex(bytes: Uint8Array, mediaType?: string): Index {
  const kind = { what: 'index', limit: MAX_MANIFEST_SIZE };
  const value = parseObject(bytes, kind);
  const type = typeOf(value, mediaType, mediaTypes.OCI_INDEX);
  if (!mediaTypes.isIndex(type))
    throw new MicaError('INVALID_ARGUMENT', `index: ${type} is not the type of an index`);
  refuseOther(value, type, ['config', 'layers']);
  return { ...check(IndexSchema, value, kind), mediaType: type };
}

/**
 * The media type of a document that came without a trustworthy one: its own `mediaType`, else what
 * its fields make it.
 *
 * @throws INVALID_ARGUMENT when it could be read as two kinds · NOT_IMPLEMENTED for schema 1
 */
export function sniffMediaType(bytes: Uint8Array): string {
  const value = parseObject(bytes, { what: 'manifest', limit: MAX_MANIFEST_SIZE });
  const index = Object.hasOwn(value, 'manifests');
  return typeOf(value, undefined, index ? mediaTypes.OCI_INDEX : mediaTypes.OCI_MANIFEST);
}

/** What a manifest is if it is no image: an SBOM, a signature, a chart. */
export function artifactTypeOf({ config, artifactType }: Manifest): string | undefined {
  if (mediaTypes.isImageConfig(config.mediaType)) return undefined;
  return artifactType || config.mediaType;
}

function typeOf(
  value: Readonly<Record<string, unknown>>,
  expected: string | undefined,
  fallback: string,
): string {
  const own = value['mediaType'] ?? '';
  if (typeof own !== 'string')
    throw new MicaError('INVALID_ARGUMENT', 'manifest: mediaType: not a string');
  const schema1 = value['schemaVersion'] === 1 || mediaTypes.isSchema1(expected ?? own);
  if (schema1)
    throw new MicaError(
      'NOT_IMPLEMENTED',
      'the manifest has the format that Docker used before 2016 (schema 1), which Mica does not read; push the image again with a current tool',
    );
  if (expected !== undefined && own !== '' && own !== expected)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `the manifest was announced as ${expected}, but says that it is ${own.slice(0, 200)}`,
    );
  return expected ?? (own || fallback);
}

/**
 * One document that one reader takes for an image and another for an index (CVE-2021-41190). Go
 * matches fields whatever their case, so `Layers` is as bad as `layers`.
 */
function refuseOther(
  value: Readonly<Record<string, unknown>>,
  mediaType: string,
  fields: readonly string[],
): void {
  for (const key of Object.keys(value)) {
    if (fields.includes(key.toLowerCase()))
      throw new MicaError('INVALID_ARGUMENT', `a document of type ${mediaType} has no ${key}`);
    if (key !== key.toLowerCase() && SENSITIVE.has(key.toLowerCase()))
      throw new MicaError('INVALID_ARGUMENT', `manifest: ${key} is not spelled as a manifest does`);
  }
}

const SENSITIVE: ReadonlySet<string> = new Set(['config', 'layers', 'manifests', 'subject']);
