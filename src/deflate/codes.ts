import { MicaError } from '../errors.ts';
import type { BitReader } from './bit-reader.ts';
import { Huffman } from './huffman.ts';

/** The two codes of a block. */
export interface Codes {
  readonly literals: Huffman;
  readonly distances: Huffman;
}

/** In which order the lengths of the code for code lengths come. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

let fixed: Codes | undefined;

/** Of blocks without a table of their own (RFC 1951, 3.2.6). */
export function fixedCodes(): Codes {
  const literals = new Uint8Array(288).fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280);
  literals.fill(8, 280);
  fixed ??= {
    literals: new Huffman(literals),
    distances: new Huffman(new Uint8Array(30).fill(5)),
  };
  return fixed;
}

/** Reads the table of a block (RFC 1951, 3.2.7). @throws DATA_LOSS */
export function readCodes(bits: BitReader): Codes {
  const literals = bits.take(5) + 257;
  const distances = bits.take(5) + 1;
  const count = bits.take(4) + 4;
  const order = new Uint8Array(19);
  for (const symbol of ORDER.slice(0, count)) order[symbol] = bits.take(3);
  const lengths = readLengths(bits, new Huffman(order), literals + distances);
  return {
    literals: new Huffman(lengths.subarray(0, literals)),
    distances: new Huffman(lengths.subarray(literals)),
  };
}

function readLengths(bits: BitReader, code: Huffman, total: number): Uint8Array {
  const lengths = new Uint8Array(total);
  for (let at = 0; at < total;) {
    const symbol = takeSymbol(bits, code);
    if (symbol < 16) {
      lengths[at++] = symbol;
      continue;
    }
    const repeat =
      symbol === 16 ? 3 + bits.take(2) : symbol === 17 ? 3 + bits.take(3) : 11 + bits.take(7);
    if (at + repeat > total || (symbol === 16 && at === 0))
      throw new MicaError('DATA_LOSS', 'a table of code lengths is damaged');
    lengths.fill(symbol === 16 ? lengths[at - 1]! : 0, at, at + repeat);
    at += repeat;
  }
  return lengths;
}

/** As `Huffman.read`, but copied where the reader has to copy. */
function takeSymbol(bits: BitReader, code: Huffman): number {
  const { copy } = bits;
  bits.copy = undefined;
  const symbol = code.read(bits);
  bits.copy = copy;
  copy?.put(code.codes[symbol]!, code.lengths[symbol]!);
  return symbol;
}
