import { MicaError } from '../../errors.ts';
import { resolveIn } from '../files/resolve.ts';
import type { SourceTree } from '../files/source-tree.ts';
import type { Owner } from './draft.ts';

/** Larger ones are no lists of users. In bytes. */
const MAX_FILE = 16 << 20;
const MAX_ID = 2 ** 32 - 2;

/**
 * Reads `user`, `user:group`, `1000:1000`, …: names are those of the image's `/etc/passwd` and
 * `/etc/group`. A user alone is his own group, by number.
 * @throws INVALID_ARGUMENT for a name that the image does not have
 */
export async function ownerOf(text: string, image: SourceTree): Promise<Owner> {
  const [user = '', group, ...more] = text.split(':');
  if (user === '' || group === '' || more.length > 0)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--chown=${text.slice(0, 60)} is not USER or USER:GROUP`,
    );
  const known = isId(user) ? undefined : await find(image, 'etc/passwd', user);
  const uid = isId(user) ? Number(user) : known!.id;
  if (group === undefined) return { uid, gid: known?.group ?? uid };
  const gid = isId(group) ? Number(group) : (await find(image, 'etc/group', group)).id;
  return { uid, gid };
}

const isId = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID;

interface Entry {
  readonly id: number;
  readonly group: number;
}

async function find(image: SourceTree, path: string, name: string): Promise<Entry> {
  for (const line of (await readText(image, path)).split('\n')) {
    const [known, , id = '', group = ''] = line.split(':');
    if (known === name && isId(id)) return { id: Number(id), group: Number(group) };
  }
  throw new MicaError(
    'INVALID_ARGUMENT',
    `--chown: /${path} of the image has no ${JSON.stringify(name.slice(0, 60))}; give a number`,
  );
}

async function readText(image: SourceTree, path: string): Promise<string> {
  const at = resolveIn(image, path);
  const file = image.lstat(at);
  if (file?.type !== 'file' || file.size > MAX_FILE) return '';
  const chunks = await Array.fromAsync(image.read(at));
  return Buffer.concat(chunks).toString('utf8');
}
