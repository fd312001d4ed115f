import type { Abortable, Bytes } from '../../io/bytes.ts';
import { Channel } from '../../io/channel.ts';
import { ChannelPace } from '../../io/channel-pace.ts';
import type { Changes } from './change.ts';
import { type LayerTarOptions, writeLayerTar } from './tar.ts';

/** What may wait for the reader, in bytes. */
const WAITING = 4 << 20;
/** Small members are handed on together. In bytes. */
const BATCH = 256 * 1024;

/** Changes as a layer's archive, at the pace of who reads it. */
export async function* archiveOfChanges(
  changes: Changes,
  { signal, ...options }: LayerTarOptions & Abortable = {},
): Bytes {
  const channel = new Channel(WAITING);
  // Who does not read to the end wants no more.
  const left = new AbortController();
  const either = AbortSignal.any([left.signal, ...(signal ? [signal] : [])]);
  const batch = new Batch(channel);
  const writing = writeLayerTar(
    changes,
    (chunk) => batch.add(chunk),
    new ChannelPace(channel, either),
    options,
  ).then(
    () => {
      batch.flush();
      channel.end();
    },
    (error: unknown) => channel.end(error),
  );
  try {
    yield* channel;
  } finally {
    left.abort();
    channel.leave();
    await writing;
  }
}

class Batch {
  readonly #channel: Channel;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  add(chunk: Uint8Array): void {
    // The writer's again when this returns.
    this.#parts.push(Buffer.from(chunk));
    this.#size += chunk.length;
    if (this.#size >= BATCH) this.flush();
  }

  flush(): void {
    if (this.#size > 0) this.#channel.push(Buffer.concat(this.#parts));
    [this.#parts, this.#size] = [[], 0];
  }
}
