import type { Abortable, Bytes } from '../../io/bytes.ts';
import { Channel } from '../../io/channel.ts';
import { ChannelPace } from '../../io/channel-pace.ts';
import type { Changes } from './change.ts';
import { type LayerTarOptions, writeLayerTar } from './tar.ts';

/** What may wait for the reader, and what small pieces are put together to, in bytes. */
const [WAITING, CHUNK] = [4 << 20, 256 * 1024];

/** The archive of {@link writeLayerTar} as a stream; the files are read while that is. */
export async function* layerTar(
  changes: Changes,
  { signal, ...options }: LayerTarOptions & Abortable = {},
): Bytes {
  const channel = new Channel(WAITING);
  const left = new AbortController();
  const either = AbortSignal.any([left.signal, ...(signal ? [signal] : [])]);
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const flush = (): void => {
    channel.push(Buffer.concat(waiting));
    [waiting, bytes] = [[], 0];
  };
  const sink = (chunk: Uint8Array): void => {
    waiting.push(Uint8Array.from(chunk));
    if ((bytes += chunk.length) >= CHUNK) flush();
  };
  const written = writeLayerTar(changes, sink, new ChannelPace(channel, either), options).then(
    () => {
      flush();
      channel.end();
    },
    (error: unknown) => channel.end(error),
  );
  try {
    yield* channel;
  } finally {
    left.abort();
    channel.leave();
    await written;
  }
}
