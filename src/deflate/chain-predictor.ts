import { type HashOf, hashOf } from './hash.ts';
import type { ChainModel } from './model.ts';
import { type Plain, WINDOW } from './plain.ts';
import type { Predictor } from './predictor.ts';
import { MAX_MATCH } from './symbols.ts';

const MASK = WINDOW - 1;
const NONE = -1;

/**
 * Foretells encoders that keep chains of earlier strings with equal hashes, of which the longest
 * match is taken unless the next byte has a longer one. After each token it goes on from what the
 * encoder really did.
 */
export class ChainPredictor implements Predictor {
  readonly #plain: Plain;
  readonly #bytes: Uint8Array;
  readonly #model: ChainModel;
  readonly #hash: HashOf;
  /** Bytes of a string that is entered, and of the shortest match. */
  readonly #min: number;
  readonly #isFresh: boolean;
  readonly #good: number;
  readonly #chain: number;
  readonly #nice: number;
  readonly #tooFar: number;
  readonly #farthest: number;
  readonly #farther: number;
  /** By hash: the last string that was entered. */
  readonly #head: Int32Array;
  /** How far before a string the last one with its hash begins; 0: too far, or there is none. */
  readonly #back: Uint16Array = new Uint16Array(WINDOW);
  /** Everything before it is entered, or left out for good. */
  #entered = 0;
  /** A match that is known already for a position, from looking whether it is better. */
  #known = NONE;
  #knownDistance = 0;
  #knownLength = 0;
  distance = 0;

  constructor(plain: Plain, model: ChainModel) {
    this.#plain = plain;
    this.#bytes = plain.bytes;
    this.#model = model;
    this.#hash = hashOf(model);
    this.#isFresh = model.hash === 'multiply';
    this.#min = this.#isFresh ? 4 : 3;
    this.#good = this.#isFresh ? MAX_MATCH : model.good;
    this.#chain = model.chain;
    this.#nice = model.nice;
    this.#tooFar = model.tooFar;
    [this.#farthest, this.#farther] = model.distance;
    this.#head = new Int32Array(1 << model.bits).fill(NONE);
  }

  move(by: number): void {
    if (by === 0) return;
    const head = this.#head;
    for (let at = 0; at < head.length; at++) head[at] = Math.max(head[at]! - by, NONE);
    this.#entered -= by;
    if (this.#known !== NONE) this.#known -= by;
  }

  predict(at: number): number {
    let length = this.#knownLength;
    if (this.#known === at) this.distance = this.#knownDistance;
    else length = this.#search(at, 0);
    if (length < this.#min) return 0;
    if (length >= this.#model.lazy || at + 1 >= this.#plain.end) return length;
    this.#enter(at);
    const distance = this.distance;
    const better = this.#search(at + 1, length);
    if (better > length) {
      this.#known = at + 1;
      this.#knownLength = better;
      this.#knownDistance = this.distance;
      return 0;
    }
    this.distance = distance;
    return length;
  }

  advance(at: number, length: number): void {
    if (length <= this.#model.insert) this.#enterUpTo(at + length);
    else {
      this.#enter(at);
      this.#entered = at + length;
    }
    if (length > 1) this.#known = NONE;
  }

  pass(at: number, length: number): void {
    this.#enterUpTo(at + length);
    this.#known = NONE;
  }

  /**
   * Finds the longest match at `at`, and its distance; everything before is entered.
   * @param before - length of the match at the byte before, that this one has to surpass; 0: none
   */
  #search(at: number, before: number): number {
    const bytes = this.#bytes;
    const min = this.#min;
    const limit = Math.min(MAX_MATCH, this.#plain.end - at);
    // Go looks for any match at the next byte, zlib for a longer one only.
    let best = this.#isFresh ? min - 1 : Math.max(before, min - 1);
    if (limit < min || best >= limit) return best;
    let candidate = this.#head[this.#hash(bytes, at)]!;
    if (candidate < 0 || at - candidate > this.#farthest) return best;
    const back = this.#back;
    const nice = Math.min(this.#nice, limit);
    const last = Math.max(0, at - this.#farther);
    const tooFar = this.#isFresh ? this.#tooFar : WINDOW;
    let tries = before >= this.#good ? this.#chain >> 2 : this.#chain;
    let [end, almost] = [bytes[at + best]!, bytes[at + best - 1]!];
    for (;;) {
      if (bytes[candidate + best] === end && bytes[candidate + best - 1] === almost) {
        let length = 0;
        while (length < limit && bytes[candidate + length] === bytes[at + length]) length++;
        if (length > best && (length > min || at - candidate <= tooFar)) {
          best = length;
          this.distance = at - candidate;
          if (length >= nice) break;
          end = bytes[at + best]!;
          almost = bytes[at + best - 1]!;
        }
      }
      const step = back[candidate & MASK]!;
      candidate -= step;
      if (--tries === 0 || step === 0 || candidate < last) break;
    }
    return best === 3 && before < 3 && this.distance > this.#tooFar ? 2 : best;
  }

  #enterUpTo(end: number): void {
    for (let position = this.#entered; position < end; position++) this.#enter(position);
  }

  #enter(at: number): void {
    if (at !== this.#entered) return;
    this.#entered = at + 1;
    if (this.#plain.end - at < this.#min) return;
    if (at === 0 && this.#plain.gone === 0 && !this.#model.first) return;
    const hash = this.#hash(this.#bytes, at);
    const head = this.#head[hash]!;
    this.#back[at & MASK] = head < 0 || at - head > WINDOW ? 0 : at - head;
    this.#head[hash] = at;
  }
}
