import { MicaError } from '../errors.ts';

export interface ExtendedAttribute {
  /** ASCII, as NTFS has it. */
  readonly name: string;
  readonly value: Buffer;
}

const FIXED = 8;
const aligned = (size: number): number => (size + 3) & ~3;

/**
 * A list of `FILE_FULL_EA_INFORMATION`, in the given order.
 * @see https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-fscc/0eb94f48-6aac-41df-a878-79f4dcfd8989
 */
export function encodeAttributes(attributes: readonly ExtendedAttribute[]): Buffer {
  return Buffer.concat(
    attributes.map(({ name, value }, at) => {
      const text = Buffer.from(name, 'latin1');
      if (text.length === 0 || text.length > 255 || value.length > 0xffff)
        throw new MicaError(
          'INVALID_ARGUMENT',
          `an extended attribute of ${text.length} bytes of name and ${value.length} of value cannot exist on NTFS`,
        );
      const entry = Buffer.alloc(aligned(FIXED + text.length + 1 + value.length));
      entry.writeUInt32LE(at === attributes.length - 1 ? 0 : entry.length, 0);
      entry.writeUInt8(text.length, 5);
      entry.writeUInt16LE(value.length, 6);
      text.copy(entry, FIXED);
      value.copy(entry, FIXED + text.length + 1);
      return entry;
    }),
  );
}

/** @throws DATA_LOSS when the list is cut off */
export function decodeAttributes(list: Buffer): ExtendedAttribute[] {
  const attributes: ExtendedAttribute[] = [];
  for (let at = 0; at < list.length;) {
    const nameLength = at + FIXED <= list.length ? list.readUInt8(at + 5) : Infinity;
    const start = at + FIXED + nameLength + 1;
    const end = start + (nameLength === Infinity ? 0 : list.readUInt16LE(at + 6));
    if (end > list.length)
      throw new MicaError('DATA_LOSS', 'a list of extended attributes ends within one');
    const name = list.toString('latin1', at + FIXED, start - 1);
    attributes.push({ name, value: list.subarray(start, end) });
    const next = list.readUInt32LE(at);
    if (next === 0) break;
    if (next < FIXED) throw new MicaError('DATA_LOSS', 'a list of extended attributes loops');
    at += next;
  }
  return attributes;
}
