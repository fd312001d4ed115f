/** What the symbols of RFC 1951, 3.2.5 stand for. */

export const END_OF_BLOCK = 256;
export const MAX_MATCH = 258;

/** How many more bits tell the length, of length codes from symbol 257 on. The last one is 258 alone. */
export const LENGTH_BITS: Uint8Array = Uint8Array.from({ length: 29 }, (_, code) =>
  code < 8 || code === 28 ? 0 : (code >> 2) - 1,
);
export const LENGTH_BASE: Uint16Array = bases(LENGTH_BITS, 3);
LENGTH_BASE[28] = MAX_MATCH;

export const DISTANCE_BITS: Uint8Array = Uint8Array.from({ length: 30 }, (_, code) =>
  code < 4 ? 0 : (code >> 1) - 1,
);
export const DISTANCE_BASE: Uint16Array = bases(DISTANCE_BITS, 1);

/** The length code (from 0) of each length. 258 has two; this is the one that encoders use. */
export const LENGTH_CODE: Uint8Array = codes(LENGTH_BASE, MAX_MATCH);
/** The distance code of each distance up to 32768. */
export const DISTANCE_CODE: Uint8Array = codes(DISTANCE_BASE, 32_768);

function bases(bits: Uint8Array, first: number): Uint16Array {
  let next = first;
  return Uint16Array.from(bits, (width) => {
    next += 1 << width;
    return next - (1 << width);
  });
}

function codes(base: Uint16Array, max: number): Uint8Array {
  const table = new Uint8Array(max + 1);
  for (let value = base[0]!, code = 0; value <= max; value++) {
    if (value === base[code + 1]) code++;
    table[value] = code;
  }
  return table;
}
