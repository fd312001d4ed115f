import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Abortable } from '../io/bytes.ts';
import { type Place, refused, shown, wrong } from './dockerfile/failure.ts';
import type { Copy } from './dockerfile/instruction.ts';
import { openArchive } from './files/archive.ts';
import { fetchFile } from './files/fetch-file.ts';
import { clean, isPattern, leadsOut, select, type Selected } from './files/select.ts';
import { archiveIn } from './files/sniff-archive.ts';
import { type SourceTree, toByteString } from './files/source-tree.ts';
import { unionFiles } from './files/union-files.ts';
import type { SpecialSource } from './instructions/copy.ts';

export interface AddOptions extends Abortable {
  readonly context: SourceTree;
  /** For what is downloaded and unpacked. */
  readonly directory: string;
  readonly owner: AsyncDisposableStack;
  /** Of what comes from a server that does not say how old it is: in seconds since 1970. */
  readonly time: number;
}

const GIT = /^(?:git@|git:\/\/|ssh:\/\/)|^https?:\/\/[^?#]*\.git(?:[?#]|$)/i;

/** What a source of ADD is, if it is more than a file: something from afar, or an archive. */
export async function specialSource(
  word: string,
  copy: Copy,
  place: Place,
  options: AddOptions,
): Promise<SpecialSource | undefined> {
  if (GIT.test(word))
    throw refused(
      place,
      `ADD ${shown(word)}: git repositories are not read; clone it, and copy from there`,
    );
  if (/^https?:\/\//i.test(word)) return await fromAfar(word, copy, place, options);
  if (copy.checksum !== undefined)
    throw wrong(place, '--checksum is for what is downloaded; the context is here already');
  return copy.unpack === false ? undefined : await localArchive(word, options);
}

async function fromAfar(
  word: string,
  { checksum, unpack }: Copy,
  place: Place,
  { directory, owner, time, signal }: AddOptions,
): Promise<SpecialSource> {
  const address = URL.parse(word);
  if (address === null) throw wrong(place, `${shown(word)} is not an address`);
  if (checksum !== undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum))
    throw wrong(place, `the checksum ${shown(checksum)} is not sha256: and 64 digits`);
  const own = await mkdtemp(join(directory, 'add-'));
  try {
    const { tree, name } = await fetchFile(address, own, { checksum, time, signal });
    const [file] = select(tree, name);
    const selected = { ...file!, name };
    const opened =
      unpack === true ? await unpacked(tree, selected, own, { owner, signal }) : undefined;
    return opened ?? { tree, selected };
  } catch (error) {
    if (!(error instanceof MicaError)) throw error;
    throw new MicaError(error.code, `ADD ${address.href}: ${error.message}`, { cause: error });
  }
}

async function localArchive(
  word: string,
  { context, directory, owner, signal }: AddOptions,
): Promise<SpecialSource | undefined> {
  if (isPattern(word) || leadsOut(word)) return undefined;
  const [selected] = select(context, clean(toByteString(word)));
  if (selected?.file.type !== 'file') return undefined;
  const own = await mkdtemp(join(directory, 'add-'));
  return await unpacked(context, selected, own, { owner, signal });
}

/** What is in an archive; `undefined` when it is none. */
async function unpacked(
  tree: SourceTree,
  { path, name }: Selected,
  directory: string,
  { owner, signal }: Pick<AddOptions, 'owner' | 'signal'>,
): Promise<SpecialSource | undefined> {
  const archive = await archiveIn((options) => tree.read(path, options), { signal });
  if (archive === undefined) return undefined;
  const opened = owner.use(
    await openArchive(archive({ signal }), join(directory, 'archive.tar'), name, { signal }),
  );
  const files = unionFiles(opened, name);
  const selected = { path: '', file: files.lstat('')!, name: '', below: '' };
  return { tree: files, selected };
}
