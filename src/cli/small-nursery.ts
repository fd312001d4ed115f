import { setFlagsFromString } from 'node:v8';
import type { PullEvent } from '../engine/pull/pull.ts';

/**
 * Keeps V8's nursery as small as it is while an image is downloaded: what that allocates lives for a
 * moment, and a nursery that grows to its default takes 10 MB.
 *
 * While a flag of V8 is not at its default, no compiled code is taken from any cache, Node's own
 * included, which makes each module and thread slower to start. So the flag is set when the first
 * bytes come, all that downloads and unpacks being there by then, and set back at the end.
 */
export class SmallNursery implements Disposable {
  #isSet = false;

  /** To be called with each event of a pull. */
  hear(event: PullEvent): void {
    if (this.#isSet || event.type !== 'bytes' || event.bytes === event.resumed) return;
    this.#isSet = true;
    setFlagsFromString('--semi-space-growth-factor=1');
  }

  [Symbol.dispose](): void {
    if (this.#isSet) setFlagsFromString(`--semi-space-growth-factor=${DEFAULT}`);
    this.#isSet = false;
  }
}

/** V8's. */
const DEFAULT = 2;
