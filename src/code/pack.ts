/**
 * The compiled code of the scripts of one program as one file: the length of an index, the index as
 * JSON, and the code of one script after the other.
 */
export type Pack = ReadonlyMap<string, Uint8Array>;

interface Entry {
  readonly name: string;
  readonly length: number;
}

const LENGTH = 4;

export function writePack(pack: Pack): Buffer {
  const entries = [...pack].map(([name, { length }]): Entry => ({ name, length }));
  const index = Buffer.from(JSON.stringify(entries));
  const length = Buffer.alloc(LENGTH);
  length.writeUInt32LE(index.length);
  return Buffer.concat([length, index, ...pack.values()]);
}

/** @returns an empty one where `bytes` are not a whole pack */
export function readPack(bytes: Buffer): Pack {
  const pack = new Map<string, Uint8Array>();
  if (bytes.length < LENGTH) return pack;
  let at = LENGTH + bytes.readUInt32LE();
  if (at > bytes.length) return pack;
  for (const { name, length } of parseIndex(bytes.toString('utf8', LENGTH, at))) {
    pack.set(name, bytes.subarray(at, at + length));
    at += length;
  }
  return at === bytes.length ? pack : new Map();
}

function parseIndex(text: string): readonly Entry[] {
  try {
    return JSON.parse(text) as readonly Entry[];
  } catch {
    return [];
  }
}
