import type { Abortable, Bytes } from '../io/bytes.ts';
import { Channel } from '../io/channel.ts';
import { ChannelPace } from '../io/channel-pace.ts';
import { Pace } from '../io/pace.ts';
import type { LayerFacts, Pack } from '../snapshot/driver.ts';
import { fromNode } from '../sys/errno.ts';
import type { Changes } from './diff/change.ts';
import { upperChanges } from './diff/diff.ts';
import { type LayerTarOptions, writeLayerTar } from './diff/tar.ts';
import { PackOutput } from './pack-output.ts';
import { isPacked, packedFacts } from './packed.ts';

export interface PackChangesOptions extends LayerTarOptions, Abortable {
  /**
   * What the directory gets: `layer.tar` and `index.erofs`, or only the index, to lie beside an
   * `fs/` that has the files already. Default `tar`.
   */
  readonly keep?: 'tar' | 'index' | undefined;
  /**
   * Is given the archive while it is made, for example to compress it into a blob. Nothing is
   * published before it is done, nor if it fails. It need not read to the end.
   */
  readonly tap?: ((tar: Bytes) => Promise<void>) | undefined;
}

/** What may wait for a tap, in bytes. */
const WAITING = 4 << 20;

/** @see Pack */
export const pack: Pack = async (upper, directory, options = {}) =>
  isPacked(directory)
    ? packedFacts(directory, options)
    : packChanges(await upperChanges(upper, options), directory, options);

/**
 * Makes changes a layer in the existing `directory`, in one pass: files are read once, and what is
 * made of them is not read back. The index is exactly what unpacking the archive would give.
 * Readers of the directory see nothing or everything, also after a crash; then it may be repeated.
 *
 * Two calls on one directory at the same time are a mistake of the caller.
 * @throws FAILED_PRECONDITION when a file changes while it is read
 */
export async function packChanges(
  changes: Changes,
  directory: string,
  options: PackChangesOptions = {},
): Promise<LayerFacts> {
  const { keep = 'tar', tap, signal } = options;
  const tapped = tap && new Tapped(tap, signal);
  try {
    using output = new PackOutput(directory, keep === 'tar', tapped?.channel);
    await writeLayerTar(changes, output.write, tapped?.pace ?? new Pace(signal), options);
    const facts = output.finish();
    await tapped?.end();
    signal?.throwIfAborted();
    await output.publish();
    return facts;
  } catch (error) {
    await tapped?.fail(error);
    throw fromNode(error);
  }
}

/** A tap at work. */
class Tapped {
  readonly channel: Channel = new Channel(WAITING);
  /** Rests for others, and until the tap has taken what waits; stops when the tap has failed. */
  readonly pace: Pace;
  readonly #done: Promise<void>;

  constructor(tap: (tar: Bytes) => Promise<void>, signal: AbortSignal | undefined) {
    const { channel } = this;
    const failed = new AbortController();
    this.pace = new ChannelPace(
      channel,
      AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]),
    );
    this.#done = tap(channel).finally(() => channel.leave());
    this.#done.catch((error: unknown) => failed.abort(error));
  }

  /** The archive is over. @throws what the tap throws */
  async end(): Promise<void> {
    this.channel.end();
    await this.#done;
  }

  /** There will be no more of the archive. */
  async fail(error: unknown): Promise<void> {
    this.channel.end(error);
    await this.#done.catch(() => {});
  }
}
