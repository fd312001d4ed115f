import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Entry } from './entry.ts';
import { type TarLimits, TarReader } from './read.ts';

/** A member with its stored data: of a sparse file, its runs joined; of anything but a file, none. */
export type Member = Entry & { readonly content: Bytes };

/**
 * Reads an archive member by member. A member's content can be read once, until the next member is
 * asked for; what nobody reads is skipped.
 * @throws what {@link TarReader} throws
 */
export async function* readTar(
  archive: Bytes,
  options: TarLimits & Abortable = {},
): AsyncGenerator<Member, void, undefined> {
  const events = eventsOf(archive, options);
  try {
    for (;;) {
      const { value, done } = await events.next();
      if (done === true) return;
      const content = new Content(events, (value as Entry).type === 'file');
      yield { ...(value as Entry), content };
      await content.skip();
    }
  } finally {
    await events.return();
  }
}

const END = Symbol('end of a file');

/** What a {@link TarReader} tells, in order. */
type Event = Entry | Uint8Array | typeof END;
type Events = AsyncGenerator<Event, void, undefined>;

async function* eventsOf(archive: Bytes, options: TarLimits & Abortable): Events {
  const ready: Event[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => ready.push(entry),
      data: (chunk) => ready.push(chunk),
      end: () => ready.push(END),
    },
    options,
  );
  for await (const chunk of archive) {
    options.signal?.throwIfAborted();
    reader.write(chunk);
    yield* ready.splice(0);
  }
  reader.end();
}

class Content implements Bytes {
  readonly #events: Events;
  #state: 'here' | 'read' | 'skipped';

  constructor(events: Events, isFile: boolean) {
    this.#events = events;
    this.#state = isFile ? 'here' : 'read';
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#state === 'skipped')
      throw new TypeError('the content of a member is gone when the next one was asked for');
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next())
      yield chunk;
  }

  async skip(): Promise<void> {
    if (this.#state === 'read') return;
    while ((await this.#next()) !== undefined);
    this.#state = 'skipped';
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#state !== 'here') return undefined;
    const { value } = await this.#events.next();
    if (value instanceof Uint8Array) return value;
    this.#state = 'read';
    return undefined;
  }
}
