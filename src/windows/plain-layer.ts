import { posix } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import { printable } from '../sys/byte-string.ts';
import { paddingOf } from '../tar/header.ts';
import type { Member } from '../tar/read-tar.ts';
import { ATTRIBUTE } from './file-facts.ts';
import { encodeGoMember, type GoMember, goTimeText } from './go-tar.ts';
import { usersDescriptor } from './security.ts';

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
    yield* member.content;
    yield Buffer.alloc(paddingOf(member.size));
  }
  yield Buffer.alloc(1024);
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
