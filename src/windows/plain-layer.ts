import { posix } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import { printable } from '../sys/byte-string.ts';
import { paddingOf } from '../tar/header.ts';
import type { Member } from '../tar/read-tar.ts';
import { ATTRIBUTE } from './file-facts.ts';
import { encodeGoMember, type GoMember, goTimeText } from './go-tar.ts';
import { usersDescriptor } from './security.ts';

/** In bytes. */
const CHUNK = 256 * 1024;
const MODES = { file: 0o100000, link: 0, directory: 0o040000, symlink: 0o120000 } as const;

/**
 * The archive of a Windows layer with the files of another archive: they come into `Files`, belong
 * to `BUILTIN\Users`, and keep names, content and times. Owners, modes and xattrs of Unix mean
 * nothing there.
 * @param directories - among the members: a link to one is of another kind there
 * @throws INVALID_ARGUMENT for what Windows has no files for
 */
export async function* plainLayer(
  members: AsyncIterable<Member>,
  directories: ReadonlySet<string>,
): Bytes {
  const start = { mtime: 0, mtimeNs: 0, linkName: '', size: 0 };
  yield headerOf('Files', 'directory', start, ATTRIBUTE.directory);
  yield headerOf('Hives', 'directory', start, ATTRIBUTE.directory);
  for await (const member of members) {
    const { type } = member;
    const name = member.name.replace(/^(?:\.\/)+/, '').replace(/\/$/, '');
    if (name === '') continue;
    if (type !== 'file' && type !== 'directory' && type !== 'symlink' && type !== 'link')
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${printable(name)}: a ${type} is nothing that Windows has; leave it out`,
      );
    const target = posix.normalize(posix.join(posix.dirname(name), member.linkName));
    const leadsToDirectory = type === 'symlink' && directories.has(target.replace(/\/$/, ''));
    const attributes =
      type === 'file'
        ? ATTRIBUTE.archive
        : (type === 'symlink' ? ATTRIBUTE.reparsePoint : 0) |
          (type === 'directory' || leadsToDirectory ? ATTRIBUTE.directory : 0);
    yield headerOf(`Files/${name}`, type, member, attributes);
    yield* member.sparse === undefined ? member.content : filled(member);
    yield Buffer.alloc(paddingOf(member.size));
  }
  yield Buffer.alloc(1024);
}

/** With the holes of a sparse member as zeros: archives for Windows know none. */
async function* filled({ content, sparse = [], size }: Member): Bytes {
  let at = 0;
  const runs = sparse.filter(({ length }) => length > 0)[Symbol.iterator]();
  let run = runs.next().value;
  for await (const chunk of content)
    for (let taken = 0; taken < chunk.length && run !== undefined;) {
      yield* zeros(run.offset - at);
      at = Math.max(at, run.offset);
      const piece = chunk.subarray(taken, taken + run.offset + run.length - at);
      yield piece;
      taken += piece.length;
      at += piece.length;
      if (at === run.offset + run.length) run = runs.next().value;
    }
  yield* zeros(size - at);
}

function* zeros(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= CHUNK) yield Buffer.alloc(Math.min(CHUNK, left));
}

function headerOf(
  name: string,
  type: GoMember['type'],
  {
    mtime: seconds,
    mtimeNs,
    linkName,
    size,
  }: Pick<Member, 'mtime' | 'mtimeNs' | 'linkName' | 'size'>,
  attributes: number,
): Buffer {
  if (type === 'link') {
    const mtime = { seconds, nanoseconds: 0 };
    const target = `Files/${linkName.replace(/^(?:\.\/)+/, '')}`;
    return encodeGoMember({
      name,
      type,
      mode: 0,
      size: 0,
      linkName: target,
      mtime,
      records: new Map(),
    });
  }
  // Windows counts in steps of 100 nanoseconds.
  const mtime = { seconds, nanoseconds: mtimeNs - (mtimeNs % 100) };
  const records = new Map([
    ['MSWINDOWS.fileattr', String(attributes)],
    ['MSWINDOWS.rawsd', usersDescriptor().toString('base64')],
    ['LIBARCHIVE.creationtime', goTimeText(mtime)],
  ]);
  const isDirectory = (attributes & ATTRIBUTE.directory) !== 0;
  const mode = MODES[type] | (isDirectory ? MODES.directory : 0);
  const target = type === 'symlink' ? linkName.replaceAll('/', '\\') : undefined;
  return encodeGoMember({ name, type, mode, size, linkName: target, mtime, records });
}
