import { createHash } from 'node:crypto';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { each } from '../../io/each.ts';
import { toText } from '../files/source-tree.ts';
import type { DraftFile, LayerDraft } from './draft.ts';

/** What a file of a draft is, its time excepted: a line for each, by path. */
export type DraftDigests = ReadonlyMap<string, string>;

/** Files read at once. */
const AT_ONCE = 8;

/** Reads all files of a draft, to know what the layer would be. */
export async function digestDraft(
  draft: LayerDraft,
  { signal }: Abortable = {},
): Promise<DraftDigests> {
  const digests = new Map<string, string>();
  await each(
    [...draft.files],
    AT_ONCE,
    async ([path, file], either) => {
      digests.set(path, `${attributesOf(file)} ${await contentOf(path, file, { signal: either })}`);
    },
    signal,
  );
  return digests;
}

function attributesOf(file: DraftFile): string {
  const { type, mode, uid, gid, major, minor, target, xattrs } = file;
  const marks = xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString('hex')}`);
  const device = type === 'char' || type === 'block' ? `${major}:${minor}` : '';
  return [type, mode.toString(8), `${uid}:${gid}`, device, target, ...marks]
    .filter((word) => word !== '')
    .join(' ');
}

async function contentOf(path: string, file: DraftFile, options: Abortable): Promise<string> {
  if (file.open === undefined) return '';
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of file.open(options)) {
    hash.update(chunk);
    size += chunk.length;
  }
  if (size !== file.size) throw changed(path);
  return hash.digest('hex');
}

export const changed = (path: string): MicaError =>
  new MicaError('FAILED_PRECONDITION', `${toText(path)} changes while it is copied; build again`);
