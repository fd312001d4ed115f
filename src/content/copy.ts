import { MicaError } from '../errors.ts';
import type { Abortable, Bytes, Reopenable } from '../io/bytes.ts';
import { each } from '../io/each.ts';
import { Slots } from '../io/slots.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { parseIndex, parseManifest } from '../oci/manifest.ts';
import { isIndex, isManifest } from '../oci/media-type.ts';
import type { Sink, Source } from './content.ts';
import { fetchAll } from './verify.ts';

export interface CopyOptions extends Abortable {
  /** Called as bytes arrive. Synchronous; must not throw. */
  readonly onProgress?: ((event: CopyEvent) => void) | undefined;
  /** Whether to follow `target`, e.g. only this machine's platform. Default: everything. */
  readonly want?: ((target: Descriptor) => boolean) | undefined;
  /** Transfers at once, over the whole graph. Default 3, as Docker's `max-concurrent-downloads`. */
  readonly concurrency?: number | undefined;
}

export type CopyEvent =
  | { readonly type: 'exists' | 'done'; readonly target: Descriptor }
  | { readonly type: 'bytes'; readonly target: Descriptor; readonly bytes: number };

/**
 * Copies `root` and everything it points to: each content once, however many point to it, and
 * children before the manifest that names them.
 */
export async function copy(
  from: Source,
  to: Sink,
  root: Descriptor,
  options: CopyOptions = {},
): Promise<void> {
  options.signal?.throwIfAborted();
  await new Copy(from, to, options).whole(root);
}

/** Indexes within indexes. Nobody builds three; a hostile source could go on for long. */
const MAX_DEPTH = 8;

class Copy {
  readonly #from: Source;
  readonly #to: Sink;
  readonly #options: CopyOptions;
  readonly #slots: Slots;
  readonly #started = new Map<string, Promise<void>>();
  /** Stops everything when one thing fails. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(from: Source, to: Sink, options: CopyOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#slots = new Slots(options.concurrency ?? 3);
    const { signal } = options;
    this.#signal = AbortSignal.any([this.#failed.signal, ...(signal ? [signal] : [])]);
  }

  async whole(root: Descriptor): Promise<void> {
    try {
      await this.#once(root, 0);
    } finally {
      await Promise.allSettled(this.#started.values());
    }
  }

  /** Two descriptors of one digest that differ otherwise cannot both be right: each is judged by itself. */
  #once(target: Descriptor, depth: number): Promise<void> {
    const key = `${target.digest} ${target.size} ${target.mediaType}`;
    const known = this.#started.get(key);
    if (known !== undefined) return known;
    const copying = this.#node(target, depth).catch((error: unknown) => {
      this.#failed.abort(error);
      throw error;
    });
    this.#started.set(key, copying);
    return copying;
  }

  async #node(target: Descriptor, depth: number): Promise<void> {
    let document: Buffer | undefined;
    if (isManifest(target.mediaType) || isIndex(target.mediaType)) {
      if (depth === MAX_DEPTH)
        throw new MicaError('INVALID_ARGUMENT', `${target.digest}: indexes nest too deeply`);
      document = await this.#slots.use(
        () => fetchAll(this.#from, target, { signal: this.#signal }),
        this.#signal,
      );
      // Walked even if the sink has it: a parent proves nothing about children that `want` once left out.
      const children = childrenOf(document, target).filter(this.#options.want ?? (() => true));
      await each(children, children.length, (child) => this.#once(child, depth + 1), this.#signal);
    }
    await this.#slots.use(() => this.#move(target, document), this.#signal);
  }

  async #move(target: Descriptor, document: Buffer | undefined): Promise<void> {
    const { onProgress } = this.#options;
    if (await this.#to.has(target, { signal: this.#signal }))
      return onProgress?.({ type: 'exists', target });
    const content: Reopenable = (offset) =>
      document ? whole(document.subarray(offset)) : this.#counted(target, offset);
    await this.#to.push(target, content, { signal: this.#signal });
    onProgress?.({ type: 'done', target });
  }

  async *#counted(target: Descriptor, offset: number): Bytes {
    let bytes = offset;
    for await (const chunk of this.#from.fetch(target, { offset, signal: this.#signal })) {
      bytes += chunk.byteLength;
      this.#options.onProgress?.({ type: 'bytes', target, bytes });
      yield chunk;
    }
  }
}

async function* whole(bytes: Uint8Array): Bytes {
  yield bytes;
}

function childrenOf(document: Uint8Array, { digest, mediaType }: Descriptor): Descriptor[] {
  try {
    if (isIndex(mediaType)) return [...parseIndex(document, mediaType).manifests];
    const { config, layers } = parseManifest(document, mediaType);
    return [config, ...layers];
  } catch (cause) {
    if (cause instanceof MicaError)
      throw new MicaError(cause.code, `${digest}: ${cause.message}`, { cause });
    throw cause;
  }
}
