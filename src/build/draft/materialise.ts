import { createWriteStream } from 'node:fs';
import { chmod, lchown, link, mkdir, symlink } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { AT_FDCWD, utimensat } from '../../sys/at.ts';
import { toBytes } from '../../sys/byte-string.ts';
import { fromNode } from '../../sys/errno.ts';
import { toText } from '../files/source-tree.ts';
import type { DraftFile, LayerDraft } from './draft.ts';

/** Makes the files of a draft in the directory `root`, which does not exist yet. */
export async function materialise(
  draft: LayerDraft,
  root: string,
  { signal }: Abortable = {},
): Promise<void> {
  const first = new Map<string, Buffer>();
  const members = draft.members();
  const placeOf = (path: string): Buffer => Buffer.from(`${toBytes(root)}/${path}`, 'latin1');
  try {
    await mkdir(root);
    for (const [path, file] of members) {
      signal?.throwIfAborted();
      const place = placeOf(path);
      const known = file.identity === undefined ? undefined : first.get(file.identity);
      if (known !== undefined) await link(known, place);
      else await make(path, place, file, { signal });
      if (file.identity !== undefined && known === undefined) first.set(file.identity, place);
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fromNode(error);
  }
  // Making what is in a directory changes its time.
  for (const [path, { mtime, mtimeNs }] of members.toReversed())
    utimensat(AT_FDCWD, placeOf(path).toString('latin1'), mtime, mtimeNs);
}

async function make(
  path: string,
  place: Buffer,
  file: DraftFile,
  options: Abortable,
): Promise<void> {
  const { type, uid, gid, mode, target, open } = file;
  if (type === 'directory') await mkdir(place);
  else if (type === 'symlink') await symlink(Buffer.from(target, 'latin1'), place);
  else if (open !== undefined)
    await pipeline(open(options), createWriteStream(place, { flags: 'wx' }));
  else
    throw new MicaError(
      'NOT_IMPLEMENTED',
      `${toText(path)} is a ${type}, which is not mounted for a command; leave it out by .dockerignore`,
    );
  await lchown(place, uid, gid);
  if (type !== 'symlink') await chmod(place, mode);
}
