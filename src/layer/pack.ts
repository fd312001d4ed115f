import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import { removeTree } from '../fs/remove.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import { Channel } from '../io/channel.ts';
import { ChannelPace } from '../io/channel-pace.ts';
import { Pace } from '../io/pace.ts';
import type { LayerFacts, LayerForm, Pack } from '../snapshot/driver.ts';
import { fromNode } from '../sys/errno.ts';
import type { Changes } from './diff/change.ts';
import { upperChanges } from './diff/diff.ts';
import { type LayerTarOptions, writeLayerTar } from './diff/tar.ts';
import { Extraction } from './extract/extract.ts';
import { FILES_DIRECTORY } from './index-output.ts';
import { PackOutput, type PackOutputOptions } from './pack-output.ts';
import { isPacked, packedFacts } from './packed.ts';

/** How a layer can be kept that does not depend on the layers below. */
export type PackedForm = Exclude<LayerForm, 'direct' | 'windows'>;

export interface PackingOptions extends Abortable {
  /**
   * What the directory gets beside `index.erofs`: `layer.tar`, or `fs/` as the form has it, or
   * nothing, when it has an `fs/` already (`index`). Default `tar`.
   */
  readonly keep?: PackedForm | 'index' | undefined;
  /**
   * Is given the archive while it is made, for example to compress it into a blob. Nothing is
   * published before it is done, nor if it fails. It need not read to the end.
   */
  readonly tap?: ((tar: Bytes) => Promise<void>) | undefined;
  /**
   * `false`: nobody looks into the directory before the caller has made it durable, with all else
   * that he makes. Default: true.
   */
  readonly durable?: boolean | undefined;
}

export interface PackChangesOptions extends PackingOptions, LayerTarOptions {}

/** What may wait for a tap, in bytes. */
const WAITING = 4 << 20;

/** @see Pack */
export const pack: Pack = async (upper, directory, options = {}) =>
  isPacked(directory)
    ? packedFacts(directory, options)
    : checkedIndependent(await packChanges(await upperChanges(upper, options), directory, options));

/**
 * Makes changes a layer in the existing `directory`, in one pass: files are read once, and what is
 * made of them is not read back. The index is exactly what unpacking the archive would give.
 * Readers of the directory see nothing or everything, also after a crash; then it may be repeated.
 * When its tree depends on the layers below, which is known at its end only, the directory holds
 * nothing of use; all the changes of a tree never do.
 *
 * Two calls on one directory at the same time are a mistake of the caller.
 * @throws FAILED_PRECONDITION when a file changes while it is read
 */
export const packChanges = (
  changes: Changes,
  directory: string,
  options: PackChangesOptions = {},
): Promise<LayerFacts> => {
  const { sourceDateEpoch } = options;
  return packing(directory, { ...options, isRead: false }, ({ write, members }, pace) =>
    writeLayerTar(changes, write, pace, { sourceDateEpoch, handler: members }),
  );
};

/** For all the changes of a tree. */
export function checkedIndependent(facts: LayerFacts): LayerFacts {
  if (facts.dependent) throw new MicaError('INTERNAL', 'a packed layer depends on its parents');
  return facts;
}

/** The same of a layer's archive, read once. */
export const packArchive = (
  tar: Bytes,
  directory: string,
  options: PackingOptions = {},
): Promise<LayerFacts> =>
  packing(directory, { ...options, isRead: true }, async ({ write }, pace) => {
    for await (const chunk of tar) {
      write(chunk);
      if (pace.due) await pace.rest();
    }
  });

async function packing(
  directory: string,
  {
    keep = 'tar',
    tap,
    durable = true,
    signal,
    isRead,
  }: PackingOptions & Pick<PackOutputOptions, 'isRead'>,
  produce: (output: PackOutput, pace: Pace) => Promise<void>,
): Promise<LayerFacts> {
  const tapped = tap && new Tapped(tap, signal);
  try {
    const sink = openSink(directory, keep);
    const channel = tapped?.channel;
    using output = new PackOutput(directory, { keepsTar: keep === 'tar', sink, channel, isRead });
    await produce(output, tapped?.pace ?? new Pace(signal));
    const facts = output.finish();
    await tapped?.end();
    signal?.throwIfAborted();
    if (!facts.dependent) await output.publish(durable);
    return facts;
  } catch (error) {
    await tapped?.fail(error);
    throw fromNode(error);
  }
}

function openSink(directory: string, keep: PackingOptions['keep'] & {}): Extraction | undefined {
  if (keep === 'tar' || keep === 'index') return undefined;
  const files = join(directory, FILES_DIRECTORY);
  // What an earlier attempt left would mix with this one.
  removeTree(files);
  mkdirSync(files, { mode: 0o700 });
  return new Extraction(files, { form: keep });
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
