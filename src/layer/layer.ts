import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffId } from '../oci/digest.ts';

/** One filesystem changeset: where its bytes are, and what they unpack to. */
export interface Layer {
  /** Digest and size of the bytes as stored, usually compressed. */
  readonly descriptor: Descriptor;
  /** Digest of the uncompressed tar. */
  readonly diffId: DiffId;
  /** Streams the bytes as stored. Callable again; each call is a fresh stream. */
  open(options?: Abortable): Bytes;
}
