import type { Channel } from './channel.ts';
import { Pace } from './pace.ts';

/** Rests for others, and until the reader of a channel has taken what waits there. */
export class ChannelPace extends Pace {
  readonly #channel: Channel;

  constructor(channel: Channel, signal: AbortSignal | undefined) {
    super(signal);
    this.#channel = channel;
  }

  override get due(): boolean {
    return this.#channel.full || super.due;
  }

  override async rest(): Promise<void> {
    await this.#channel.drained();
    await super.rest();
  }
}
