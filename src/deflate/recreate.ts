import { MicaError } from '../errors.ts';
import { BitReader } from './bit-reader.ts';
import { BitWriter } from './bit-writer.ts';
import { type Codes, fixedCodes, readCodes } from './codes.ts';
import type { Model } from './model.ts';
import { Plain, type ReadInto, WINDOW } from './plain.ts';
import { openPredictor } from './open-predictor.ts';
import type { Predictor } from './predictor.ts';
import { EVENT, ScriptReader, STEP } from './script.ts';
import {
  DISTANCE_BASE,
  DISTANCE_BITS,
  DISTANCE_CODE,
  END_OF_BLOCK,
  LENGTH_BASE,
  LENGTH_BITS,
  LENGTH_CODE,
} from './symbols.ts';

/**
 * Makes the gzip file again that `describe` made the script from.
 * @param sink - gets its bytes, which stay valid until it returns
 * @throws DATA_LOSS when the script is not of these data; that the bytes are the right ones is for the caller to see
 */
export function recreate(
  data: ReadInto,
  model: Model,
  script: Uint8Array,
  sink: (bytes: Uint8Array) => void,
): void {
  new Recreation(data, model, script, sink).run();
}

class Recreation {
  readonly #script: ScriptReader;
  readonly #out: BitWriter;
  readonly #plain: Plain;
  readonly #predictor: Predictor;
  #at = 0;

  constructor(data: ReadInto, model: Model, script: Uint8Array, sink: (bytes: Uint8Array) => void) {
    this.#script = new ScriptReader(script);
    this.#out = new BitWriter(sink);
    this.#plain = new Plain(data);
    this.#predictor = openPredictor(this.#plain, model);
  }

  run(): void {
    for (;;) {
      const step = this.#script.number();
      if (step === STEP.END) break;
      if (step === STEP.BYTES) this.#out.bytes(this.#script.bytes());
      else if (step === STEP.PADDING) this.#out.align(this.#script.number());
      else if (step === STEP.BLOCK) this.#block(this.#script.number());
      else throw wrong();
    }
    this.#out.flush();
  }

  #block(flags: number): void {
    const kind = flags >> 1;
    this.#out.put(flags, 3);
    if (kind === 0) this.#stored();
    else this.#tokens(kind === 1 ? fixedCodes() : this.#table());
  }

  #stored(): void {
    this.#out.align(this.#script.number());
    const length = this.#script.number();
    this.#out.put(length, 16);
    this.#out.put(length ^ 0xffff, 16);
    for (let left = length; left > 0;) {
      this.#look();
      const piece = Math.min(left, WINDOW, this.#plain.end - this.#at);
      if (piece === 0) throw wrong();
      this.#out.bytes(this.#plain.bytes.subarray(this.#at, this.#at + piece));
      this.#predictor.pass(this.#at, piece);
      this.#at += piece;
      left -= piece;
    }
  }

  #table(): Codes {
    const odd = this.#script.number();
    const bytes = this.#script.bytes();
    for (const [at, byte] of bytes.entries())
      this.#out.put(byte, at === bytes.length - 1 && odd > 0 ? odd : 8);
    const chunks = [bytes].values();
    return readCodes(new BitReader(() => chunks.next().value));
  }

  #tokens(codes: Codes): void {
    const [script, plain, predictor] = [this.#script, this.#plain, this.#predictor];
    for (;;) {
      for (let right = script.number(); right > 0; right--) {
        if (plain.isShort(this.#at)) this.#look();
        this.#token(codes, predictor.predict(this.#at), predictor.distance);
      }
      const event = script.number();
      if (event === EVENT.END) break;
      if (plain.isShort(this.#at)) this.#look();
      // It is asked even where it is wrong: it remembers what it saw.
      predictor.predict(this.#at);
      if (event === EVENT.LITERAL) this.#token(codes, 0, 0);
      else this.#token(codes, script.number(), script.number());
    }
    const { literals } = codes;
    this.#out.put(literals.codes[END_OF_BLOCK]!, literals.lengths[END_OF_BLOCK]!);
  }

  /** @param length - 0: a literal */
  #token({ literals, distances }: Codes, length: number, distance: number): void {
    const out = this.#out;
    const size = length || 1;
    if (this.#at + size > this.#plain.end) throw wrong();
    if (length === 0) {
      const byte = this.#plain.bytes[this.#at]!;
      out.put(literals.codes[byte]!, literals.lengths[byte]!);
    } else {
      const code = LENGTH_CODE[length]!;
      out.put(literals.codes[code + 257]!, literals.lengths[code + 257]!);
      out.put(length - LENGTH_BASE[code]!, LENGTH_BITS[code]!);
      const far = DISTANCE_CODE[distance]!;
      out.put(distances.codes[far]!, distances.lengths[far]!);
      out.put(distance - DISTANCE_BASE[far]!, DISTANCE_BITS[far]!);
    }
    this.#predictor.advance(this.#at, size);
    this.#at += size;
  }

  #look(): void {
    const shift = this.#plain.isShort(this.#at) ? this.#plain.move(this.#at) : 0;
    this.#predictor.move(shift);
    this.#at -= shift;
  }
}

const wrong = (): MicaError => new MicaError('DATA_LOSS', 'the recipe is not one for these data');
