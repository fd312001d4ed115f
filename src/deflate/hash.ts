import type { ChainModel } from './model.ts';

/** Where in its table an encoder enters the string that begins at `at`. Reads up to four bytes. */
export type HashOf = (bytes: Uint8Array, at: number) => number;

/** @param bits - of the result */
export const hashOf = ({ hash, bits }: Pick<ChainModel, 'hash' | 'bits'>): HashOf =>
  HASHES[hash](bits);

const HASHES: Readonly<Record<ChainModel['hash'], (bits: number) => HashOf>> = {
  shift(bits) {
    const [far, near] = [2 * Math.ceil(bits / 3), Math.ceil(bits / 3)];
    const mask = (1 << bits) - 1;
    return (bytes, at) => ((bytes[at]! << far) ^ (bytes[at + 1]! << near) ^ bytes[at + 2]!) & mask;
  },
  multiply(bits) {
    const rest = 32 - bits;
    return (bytes, at) =>
      Math.imul(
        (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!,
        0x1e35a7bd,
      ) >>> rest;
  },
  crc(bits) {
    const table = crcTable();
    const mask = (1 << bits) - 1;
    return (bytes, at) => {
      let crc = table[bytes[at]!]!;
      crc = table[(crc ^ bytes[at + 1]!) & 0xff]! ^ (crc >>> 8);
      crc = table[(crc ^ bytes[at + 2]!) & 0xff]! ^ (crc >>> 8);
      crc = table[(crc ^ bytes[at + 3]!) & 0xff]! ^ (crc >>> 8);
      return crc & mask;
    };
  },
};

/** Of CRC-32C, as the processor's instruction has it: without the inversions of the checksum. */
function crcTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
    return value;
  });
}
