import { gzipSync } from 'node:zlib';
import type { Inflater } from './inflater.ts';

/** Longer than deflate's window of 32 KiB, with matches near and far, and bytes that hardly compress. */
function sample(): Buffer {
  const bytes = Buffer.alloc(100_000, 'mica splits into thin sheets; ');
  for (let at = 40_000, seed = 1; at < 60_000; at++)
    bytes[at] = seed = (seed * 48_271) % 0x7fff_ffff;
  return bytes;
}

/** In bytes; no divisor of anything, so that every kind of border is met. */
const [INPUT, OUTPUT] = [1777, 4093];

/**
 * Tries an inflater of gzip whose inner workings are known by experience only: on two members, and
 * on what is cut, changed, followed by something else or no gzip at all.
 * @returns what it did wrong
 */
export function problemOf(open: () => Inflater): string | undefined {
  const plain = sample();
  const half = plain.length / 2;
  const second = gzipSync(plain.subarray(half));
  const packed = Buffer.concat([gzipSync(plain.subarray(0, half)), second]);
  const wrongSum = Buffer.from(packed);
  wrongSum[packed.length - 8]! ^= 1;
  const wrongData = Buffer.from(packed);
  wrongData.fill(0xff, packed.length - 100, packed.length - 20);
  if (inflated(open, packed)?.equals(plain) !== true)
    return 'it does not inflate what zlib deflated';
  const wrong: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['data that end too early', packed.subarray(0, -4)],
    ['a member that ends too early', packed.subarray(0, packed.length - second.length + 5)],
    ['a wrong checksum', wrongSum],
    ['damaged data', wrongData],
    ['garbage after the end', Buffer.concat([packed, Buffer.from('garbage')])],
    ['data that are no gzip', plain],
  ];
  const accepted = wrong.find(([, bytes]) => inflated(open, bytes) !== undefined);
  return accepted && `it accepts ${accepted[0]}`;
}

/** `undefined`: refused. */
function inflated(open: () => Inflater, stored: Uint8Array): Buffer | undefined {
  const inflater = open();
  const into = Buffer.alloc(OUTPUT);
  const pieces: Buffer[] = [];
  try {
    for (let at = 0; at < stored.length; at += INPUT) {
      let input = stored.subarray(at, at + INPUT);
      for (;;) {
        const { used, made } = inflater.step(input, into);
        if (used === 0 && made === 0) break;
        if (used > input.length || made > OUTPUT) return undefined;
        input = input.subarray(used);
        pieces.push(Buffer.from(into.subarray(0, made)));
      }
      if (input.length > 0) return undefined;
    }
    inflater.finish();
    return Buffer.concat(pieces);
  } catch {
    return undefined;
  } finally {
    inflater.close();
  }
}
