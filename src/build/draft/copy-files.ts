import { MicaError } from '../../errors.ts';
import type { Selected } from '../files/select.ts';
import {
  baseOf,
  parentOf,
  type SourceFile,
  type SourceTree,
  toText,
  under,
} from '../files/source-tree.ts';
import type { Ignore } from '../pattern/ignore.ts';
import { type DraftFile, type LayerDraft, type Owner, ROOT, walkFiles } from './draft.ts';
import type { ChangeMode } from './mode.ts';

/** How files change on their way into a layer. */
export interface Copying {
  readonly draft: LayerDraft;
  readonly source: SourceTree;
  /** `undefined`: as the source has it. */
  readonly owner: Owner | undefined;
  readonly mode: ChangeMode | undefined;
  /** Of what is below a source, or a source itself by its own name. */
  readonly exclude: Ignore;
  /** What tells hard links of this source from those of others. */
  readonly series: string;
}

export interface Destination {
  /** A byte string from the root, clean, links not followed. */
  readonly path: string;
  /** Written with a slash at its end: it is a directory, whether it is there or not. */
  readonly isDirectory: boolean;
}

/** Puts one source where it belongs: of a directory its content. */
export function copySelected(copying: Copying, selected: Selected, to: Destination): void {
  const { draft } = copying;
  const at = draft.resolve(to.path);
  if (selected.below !== '') copyWithParents(copying, selected, at);
  else if (selected.file.type === 'directory') copyDirectory(copying, selected.path, at);
  else {
    if (copying.exclude.excludes(selected.name)) return;
    const into = to.isDirectory || draft.lstat(at)?.type === 'directory' || at === '';
    const target = into ? draft.resolve(under(at, selected.name)) : at;
    draft.makeDirectory(parentOf(target), copying.owner ?? ROOT);
    draft.put(target, draftFile(copying, selected.path, selected.file));
  }
}

/** The content of a directory; the directory itself only where it is new. */
function copyDirectory(copying: Copying, from: string, to: string): void {
  const { draft, source, owner, exclude } = copying;
  if (to !== '' && draft.lstat(to) === undefined) {
    draft.makeDirectory(parentOf(to), owner ?? ROOT);
    draft.put(to, draftFile(copying, from, source.lstat(from)!));
  } else draft.makeDirectory(to, owner ?? ROOT);
  for (const { path, file } of walkFiles(source, from)) {
    const relative = from === '' ? path : path.slice(from.length + 1);
    if (!isLeftOut(exclude, source, from, relative))
      draft.put(under(to, relative), draftFile(copying, path, file));
  }
}

/** A directory that is excluded stays as long as something in it is wanted. */
function isLeftOut(exclude: Ignore, source: SourceTree, root: string, relative: string): boolean {
  if (!exclude.excludes(relative)) return false;
  const path = under(root, relative);
  if (!exclude.hasExceptions || source.lstat(path)?.type !== 'directory') return true;
  for (const below of walkFiles(source, path)) {
    const name = root === '' ? below.path : below.path.slice(root.length + 1);
    if (!exclude.excludes(name)) return false;
  }
  return true;
}

/** With the directories above it, as the source has them. */
function copyWithParents(copying: Copying, { path, file, below }: Selected, to: string): void {
  const { draft, source, owner } = copying;
  const depth = below.split('/').length;
  const root = path.split('/').slice(0, -depth).join('/');
  draft.makeDirectory(to, owner ?? ROOT);
  let at = '';
  for (const name of below.split('/').slice(0, -1)) {
    at = under(at, name);
    const target = under(to, at);
    if (draft.lstat(target)?.type !== 'directory')
      draft.put(target, draftFile(copying, under(root, at), source.lstat(under(root, at))!));
  }
  if (file.type === 'directory') copyDirectory(copying, path, under(to, below));
  else if (!copying.exclude.excludes(below))
    draft.put(under(to, below), draftFile(copying, path, file));
}

function draftFile(copying: Copying, path: string, file: SourceFile): DraftFile {
  const { source, owner, mode, series } = copying;
  const { identity, ...rest } = file;
  if (baseOf(path).length > 255)
    throw new MicaError('INVALID_ARGUMENT', `${toText(path)}: the name is too long`);
  return {
    ...rest,
    ...owner,
    mode: mode && file.type !== 'symlink' ? mode(file.mode, file.type === 'directory') : file.mode,
    identity: identity === undefined ? undefined : `${series}:${identity}`,
    open: file.type === 'file' ? (options) => source.read(path, options) : undefined,
  };
}
