import * as v from 'valibot';
import { type Digest, isDigest } from './digest.ts';
import { objectOf, optional, StringsSchema } from './json.ts';
import { type Platform, PlatformSchema } from './platform.ts';

/**
 * A typed pointer to content.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
 */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** In bytes. */
  readonly size: number;
  readonly urls?: readonly string[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly artifactType?: string | undefined;
  readonly platform?: Platform | undefined;
}

export const DigestSchema: v.GenericSchema<unknown, Digest> = v.custom<Digest>(
  (text) => typeof text === 'string' && isDigest(text),
  'not a sha256 or sha512 digest',
);

/** Unknown fields are kept. */
export const DescriptorSchema: v.GenericSchema<unknown, Descriptor> = objectOf({
  mediaType: v.pipe(v.string(), v.nonEmpty('is empty'), v.maxLength(255, 'is too long')),
  digest: DigestSchema,
  size: v.custom<number>(
    (size) => Number.isSafeInteger(size) && (size as number) >= 0,
    'not a number of bytes',
  ),
  urls: optional(v.array(v.string())),
  annotations: optional(StringsSchema),
  artifactType: optional(v.string()),
  platform: optional(PlatformSchema),
});
