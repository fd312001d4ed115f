import type { SpeedModel } from './model.ts';
import { type Plain, WINDOW } from './plain.ts';
import type { Predictor } from './predictor.ts';
import { MAX_MATCH } from './symbols.ts';

const NONE = -1;
/** Bytes of a string, and of the shortest match. */
const MIN = 4;

/**
 * Foretells encoders that are made for speed: they take the data in blocks of a fixed size, look
 * each string up once, in a table without chains, and step faster through what does not match.
 * What they make of a block does not depend on anything but the data, so it is found out at once.
 */
export class SpeedPredictor implements Predictor {
  readonly #plain: Plain;
  readonly #model: SpeedModel;
  /** By hash: where a string was seen last. */
  readonly #table: Int32Array;
  readonly #shift: number;
  /** Of the block, byte by byte: the match that begins there, length 0: none. */
  readonly #lengths: Uint16Array;
  readonly #distances: Uint16Array;
  #start = 0;
  #end = 0;
  distance = 0;

  constructor(plain: Plain, model: SpeedModel) {
    this.#plain = plain;
    this.#model = model;
    this.#table = new Int32Array(1 << model.bits).fill(NONE);
    this.#shift = 32 - model.bits;
    this.#lengths = new Uint16Array(model.block);
    this.#distances = new Uint16Array(model.block);
  }

  move(by: number): void {
    if (by === 0) return;
    const table = this.#table;
    for (let at = 0; at < table.length; at++) table[at] = Math.max(table[at]! - by, NONE);
    this.#start -= by;
    this.#end -= by;
  }

  predict(at: number): number {
    if (at >= this.#plain.end) return 0;
    while (at >= this.#end) this.#next();
    this.distance = this.#distances[at - this.#start]!;
    return this.#lengths[at - this.#start]!;
  }

  /** What they did in the middle of a block has no consequences that could be known. */
  advance(): void {}

  /** The table goes on, block by block, while their data are in the window. */
  pass(at: number): void {
    this.predict(at);
  }

  #next(): void {
    this.#start = this.#end;
    this.#end = Math.min(this.#start + this.#model.block, this.#plain.end);
    const size = this.#end - this.#start;
    this.#lengths.fill(0);
    const tokens = this.#scan();
    // Not worth it: then they write nothing but literals.
    if (tokens > size - (size >> 4)) this.#lengths.fill(0);
  }

  /** @returns how many tokens the block becomes */
  #scan(): number {
    const [start, end, table] = [this.#start, this.#end, this.#table];
    const limit = end - this.#model.margin;
    let tokens = end - start;
    if (limit < start) return tokens;
    let at = start;
    let hash = this.#hash(at);
    for (;;) {
      let next = at;
      let candidate = NONE;
      for (let skip = 32; ;) {
        at = next;
        const step = skip >> 5;
        next = at + step;
        skip += step;
        if (next > limit) return tokens;
        candidate = table[hash]!;
        table[hash] = at;
        hash = this.#hash(next);
        if (this.#fits(candidate, at)) break;
      }
      for (;;) {
        const length = this.#extend(candidate, at);
        this.#lengths[at - start] = length;
        this.#distances[at - start] = at - candidate;
        tokens -= length - 1;
        at += length;
        if (at >= limit) return tokens;
        table[this.#hash(at - 1)] = at - 1;
        const here = this.#hash(at);
        candidate = table[here]!;
        table[here] = at;
        if (this.#fits(candidate, at)) continue;
        at++;
        hash = this.#hash(at);
        break;
      }
    }
  }

  #fits(candidate: number, at: number): boolean {
    const { bytes } = this.#plain;
    if (candidate < 0 || at - candidate > WINDOW) return false;
    for (let byte = 0; byte < MIN; byte++)
      if (bytes[candidate + byte] !== bytes[at + byte]) return false;
    return true;
  }

  /** Length of the match, within the block. */
  #extend(candidate: number, at: number): number {
    const { bytes } = this.#plain;
    const most = Math.min(MAX_MATCH, this.#end - at);
    let length = MIN;
    while (length < most && bytes[candidate + length] === bytes[at + length]) length++;
    return length;
  }

  #hash(at: number): number {
    const { bytes } = this.#plain;
    const string =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    return Math.imul(string, 0x1e35a7bd) >>> this.#shift;
  }
}
