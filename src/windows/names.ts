import { isUtf8 } from 'node:buffer';
import { MicaError } from '../errors.ts';
import { printable } from '../sys/byte-string.ts';

/** The name of a member of a Windows layer. Byte strings. */
export interface WindowsName {
  /** With `/` between its names, and without a stream. */
  readonly path: string;
  /** Of an alternate data stream: `name` in `file:name`. */
  readonly stream: string | undefined;
}

/** What NTFS allows in one name, in UTF-16 units. */
const MAX_NAME = 255;

// oxlint-disable-next-line no-control-regex -- these are what no name may have
const FORBIDDEN = /[\u0000-\u001f<>"|?*\\:]/;
/** Devices of DOS, with whatever extension. */
const DEVICE =
  /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)(?:[0-9]|\u00c2[\u00b9\u00b2\u00b3]))(?:\.|$)/i;
/** The files in which directories of a layer keep their attributes. */
export const DIRECTORY_SUFFIX = '.$wcidirs$';

/**
 * Reads a name that can exist on NTFS and leads nowhere else: no `..`, no backslash, no drive, no
 * name that Windows would read as another one. What Windows itself would refuse or change is
 * refused, so that a layer means the same on every system.
 *
 * @throws INVALID_ARGUMENT
 */
export function parseWindowsName(name: string): WindowsName {
  const plain = name.replace(/^(?:\.\/)+/, '').replace(/\/$/, '');
  const slash = plain.lastIndexOf('/');
  const last = plain.slice(slash + 1);
  const colon = last.indexOf(':');
  const path = colon < 0 ? plain : plain.slice(0, slash + 1 + colon);
  const stream = colon < 0 ? undefined : last.slice(colon + 1);
  const wrong = stream === undefined ? undefined : refusalOf(stream);
  if (wrong !== undefined) throw refused(name, `the stream's name ${wrong}`);
  for (const part of path.split('/')) {
    const refusal =
      refusalOf(part) ?? (isDeviceOrMark(part) ? 'is one that Windows keeps' : undefined);
    if (refusal !== undefined) throw refused(name, `${JSON.stringify(printable(part))} ${refusal}`);
  }
  return { path, stream };
}

function refusalOf(part: string): string | undefined {
  if (part === '') return 'is empty';
  if (part === '.' || part === '..') return 'leads elsewhere';
  const found = FORBIDDEN.exec(part)?.[0];
  if (found !== undefined) return `has ${JSON.stringify(found)}, which no name on Windows has`;
  if (/[. ]$/.test(part)) return 'ends with a dot or a space, which Windows leaves out';
  const bytes = Buffer.from(part, 'latin1');
  if (!isUtf8(bytes)) return 'is not UTF-8';
  if (bytes.toString().length > MAX_NAME) return `is longer than ${MAX_NAME} characters`;
  return undefined;
}

const isDeviceOrMark = (part: string): boolean =>
  DEVICE.test(part) || part.toLowerCase().endsWith(DIRECTORY_SUFFIX);

const refused = (name: string, why: string): MicaError =>
  new MicaError(
    'INVALID_ARGUMENT',
    `${printable(name.slice(0, 300))} is no name in a Windows layer: ${why}`,
  );
