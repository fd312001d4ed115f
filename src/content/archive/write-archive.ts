import { MicaError } from '../../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../../io/bytes.ts';
import { Slots } from '../../io/slots.ts';
import { IMAGE_NAME, REF_NAME } from '../../oci/annotations.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { isDocument, isImageConfig, OCI_INDEX } from '../../oci/media-type.ts';
import { type Reference, formatReference } from '../../oci/reference.ts';
import type { NewEntry } from '../../tar/write.ts';
import { TarWriter } from '../../tar/write.ts';
import { LAYOUT_FILE, LAYOUT_VERSION } from '../blob-files.ts';
import type { Sink } from '../content.ts';
import { INDEX_FILE } from '../layout.ts';
import { DOCUMENT_LIMIT, verified } from '../verify.ts';
import { blobPath, dockerLists } from './docker-lists.ts';

/**
 *  - `docker-archive`: what Docker writes since version 25, an OCI image layout with Docker's own
 *    lists beside it. Every Docker, podman and containerd reads it.
 *  - `oci-archive`: the layout alone
 */
export type ArchiveFormat = 'docker-archive' | 'oci-archive';

/** An archive of images on its way out, in one pass; the same content in the same order gives the same bytes. */
export interface ArchiveWriter extends Sink {
  /** Lists an image whose documents were pushed, under one name (again with another for another) or without. */
  name(target: Descriptor, name?: ImageName): void;
  /** Writes the lists, and ends the archive. Without it, what was written is none. */
  finish(options?: Abortable): Promise<void>;
}

/** A reference with a tag, or a tag alone as skopeo gives it to images of a layout. */
export type ImageName = (Reference & { readonly tag: string }) | string;

/** An image in the archive's list. */
export interface NamedImage {
  readonly target: Descriptor;
  readonly name: ImageName | undefined;
}

/** @param write - gets buffers that it may keep; resolves when it wants more */
export function writeArchive(
  write: (chunk: Uint8Array) => Promise<void>,
  format: ArchiveFormat,
): ArchiveWriter {
  return new StreamedArchive(write, format);
}

class StreamedArchive implements ArchiveWriter {
  readonly #write: (chunk: Uint8Array) => Promise<void>;
  readonly #format: ArchiveFormat;
  readonly #chunks: Uint8Array[] = [];
  readonly #tar = new TarWriter((chunk) => void this.#chunks.push(chunk));
  /** A tar has one member at a time. */
  readonly #turn = new Slots(1);
  readonly #written = new Set<Digest>();
  readonly #directories = new Set<string>();
  /** Manifests, indexes and configs, for the lists at the end. */
  readonly #documents = new Map<Digest, Uint8Array>();
  readonly #images: NamedImage[] = [];
  #isBroken = false;

  constructor(write: (chunk: Uint8Array) => Promise<void>, format: ArchiveFormat) {
    this.#write = write;
    this.#format = format;
  }

  async has({ digest }: Descriptor, { signal }: Abortable = {}): Promise<boolean> {
    signal?.throwIfAborted();
    return this.#written.has(digest);
  }

  push(target: Descriptor, content: Reopenable, { signal }: Abortable = {}): Promise<void> {
    return this.#turn.use(async () => {
      if (this.#written.has(target.digest)) return;
      const path = blobPath(target.digest);
      await this.#parents(path);
      await this.#member(path, target.size, this.#remembered(target, content), signal);
      this.#written.add(target.digest);
    }, signal);
  }

  name(target: Descriptor, name?: ImageName): void {
    if (!this.#documents.has(target.digest))
      throw new MicaError('NOT_FOUND', `${target.digest} is not in the archive, and gets no name`);
    this.#images.push({ target, name });
  }

  async finish({ signal }: Abortable = {}): Promise<void> {
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: this.#images.map((image) => entryOf(image, this.#format)),
    });
    const lists =
      this.#format === 'docker-archive' ? dockerLists(this.#images, this.#documents) : {};
    const files = { ...lists, [INDEX_FILE]: index, [LAYOUT_FILE]: LAYOUT_VERSION };
    for (const [name, text] of Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const bytes = Buffer.from(text);
      await this.#member(name, bytes.byteLength, once(bytes), signal);
    }
    this.#tar.finish();
    await this.#flush();
  }

  /** Verified, and kept if the lists need it. */
  async *#remembered(target: Descriptor, content: Reopenable): Bytes {
    const { mediaType, size, digest } = target;
    const isKept =
      (isDocument(mediaType) || isImageConfig(mediaType)) && size <= 2 * DOCUMENT_LIMIT;
    const kept: Uint8Array[] = [];
    for await (const chunk of verified(content(0), target)) {
      if (isKept) kept.push(chunk);
      yield chunk;
    }
    if (isKept) this.#documents.set(digest, Buffer.concat(kept));
  }

  async #parents(path: string): Promise<void> {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const directory = path.slice(0, at);
      if (this.#directories.has(directory)) continue;
      this.#directories.add(directory);
      this.#tar.entry(entry('directory', directory, 0));
      await this.#flush();
    }
  }

  async #member(
    name: string,
    size: number,
    content: Bytes,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (this.#isBroken)
      throw new MicaError('FAILED_PRECONDITION', 'the archive broke off in an earlier member');
    this.#isBroken = true;
    this.#tar.entry(entry('file', name, size));
    for await (const chunk of content) {
      signal?.throwIfAborted();
      this.#tar.data(chunk);
      await this.#flush();
    }
    await this.#flush();
    this.#isBroken = false;
  }

  async #flush(): Promise<void> {
    for (const chunk of this.#chunks.splice(0)) await this.#write(chunk);
  }
}

async function* once(bytes: Uint8Array): Bytes {
  yield bytes;
}

/** Nothing of this machine, user and moment. */
const entry = (type: 'file' | 'directory', name: string, size: number): NewEntry => ({
  type,
  name,
  linkName: '',
  mode: type === 'file' ? 0o644 : 0o755,
  uid: 0,
  gid: 0,
  size,
  mtime: 0,
  mtimeNs: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: undefined,
  sparse: undefined,
});

/** In the list of the layout. Docker gives images their tag there and podman the whole name, which is what it loads them by. */
function entryOf({ target, name }: NamedImage, format: ArchiveFormat): Descriptor {
  const { mediaType, digest, size, platform } = target;
  const bare = { mediaType, digest, size, ...(platform && { platform }) };
  if (name === undefined) return bare;
  if (typeof name === 'string') return { ...bare, annotations: { [REF_NAME]: name } };
  const whole = formatReference({ ...name, digest: undefined });
  const short = format === 'docker-archive' ? name.tag : whole;
  return { ...bare, annotations: { [IMAGE_NAME]: whole, [REF_NAME]: short } };
}
