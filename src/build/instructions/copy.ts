import { posix } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { type Place, shown, wrong } from '../dockerfile/failure.ts';
import type { Copy, Dockerfile } from '../dockerfile/instruction.ts';
import { notDirectory } from '../dockerfile/parse/copy.ts';
import { type Copying, copySelected, type Destination } from '../draft/copy-files.ts';
import { LayerDraft, type Owner } from '../draft/draft.ts';
import { parseMode } from '../draft/mode.ts';
import { ownerOf } from '../draft/owner.ts';
import { textTree } from '../files/text.ts';
import {
  clean,
  isPattern,
  leadsOut,
  select,
  type Selected,
  selectWithParents,
} from '../files/select.ts';
import { type SourceTree, toByteString } from '../files/source-tree.ts';
import { ignoring } from '../pattern/ignore.ts';
import type { StageState } from '../stage-state.ts';
import { Replacer } from '../variables.ts';

/** Where files come from. */
export interface CopySources {
  /** The build context, or what `--from` names. */
  readonly from: SourceTree;
  /** What the image has so far. */
  readonly image: SourceTree;
  /** Of ADD: what an address or an archive stands for; `undefined`: a file like others. */
  special(word: string, copy: Copy, place: Place): Promise<SpecialSource | undefined>;
  warn(message: string): void;
}

/** A source of ADD that is not simply copied. */
export interface SpecialSource {
  readonly tree: SourceTree;
  /** Its content goes into the destination; else the file, by its own name. */
  readonly selected: Selected;
}

/** What COPY or ADD puts into the image. Nothing is written. */
export async function draftCopy(
  dockerfile: Dockerfile,
  copy: Copy,
  state: StageState,
  sources: CopySources,
  { signal }: Abortable = {},
): Promise<LayerDraft> {
  const { file } = dockerfile;
  const place = { file, line: copy.line };
  const replacer = new Replacer(dockerfile, copy, state.lookup);
  try {
    // With --link the layer is the same on whatever it is put.
    const draft = new LayerDraft(copy.link ? NOTHING : sources.image, state.seconds);
    const owner = await ownerFor(copy, replacer, sources.image);
    const copying = (source: SourceTree, series: number): Copying => ({
      draft,
      source,
      owner,
      mode: copy.chmod === undefined ? undefined : parseMode(replacer.word(copy.chmod)),
      exclude: ignoring(
        copy.exclude.map((pattern) => replacer.word(pattern)),
        '--exclude',
      ),
      series: String(series),
    });
    const target = replacer.word(copy.target);
    const to = destination(target, state);
    const count = copy.heredocs.length + copy.sources.length;
    if (count > 1 && !to.isDirectory) throw notDirectory(place, count, target);
    for (const [at, { name, content, expands }] of copy.heredocs.entries()) {
      const text = expands ? replacer.text(content) : content;
      const tree = textTree(toByteString(replacer.word(name)), text, state.seconds);
      for (const selected of select(tree, tree.names('')[0]!))
        copySelected(copying(tree, -at - 1), selected, to);
    }
    for (const [at, source] of copy.sources.entries()) {
      signal?.throwIfAborted();
      const word = replacer.word(source);
      const special = copy.kind === 'add' ? await sources.special(word, copy, place) : undefined;
      if (special !== undefined) copySelected(copying(special.tree, at), special.selected, to);
      else copyWord(copying(sources.from, at), { word, copy, place, to, sources });
    }
    return draft;
  } catch (error) {
    throw located(error, place);
  }
}

function located(error: unknown, { file, line }: Place): unknown {
  if (!(error instanceof MicaError) || error.message.startsWith(`${file}:`)) return error;
  return new MicaError(error.code, `${file}:${line}: ${error.message}`, { cause: error });
}

/** An image without anything: what `--link` puts its layer on. */
const NOTHING: SourceTree = {
  name: 'nothing',
  lstat: () => undefined,
  names: () => [],
  async *read() {},
};

interface CopiedWord {
  readonly word: string;
  readonly copy: Copy;
  readonly place: Place;
  readonly to: Destination;
  readonly sources: CopySources;
}

function copyWord(copying: Copying, { word, copy, place, to, sources }: CopiedWord): void {
  const { source } = copying;
  if (leadsOut(word))
    throw wrong(place, `${shown(word)} leads out of ${source.name}; copy only what is in it`);
  const path = toByteString(word);
  const found = copy.parents ? selectWithParents(source, path) : select(source, clean(path));
  if (found.length === 0 && isPattern(word)) {
    sources.warn(`${place.file}:${place.line}: nothing in ${source.name} matches ${shown(word)}`);
    return;
  }
  if (found.length === 0)
    throw new MicaError(
      'NOT_FOUND',
      `${place.file}:${place.line}: ${source.name} has no ${shown(word)}${copy.from === undefined ? ' (or .dockerignore leaves it out)' : ''}`,
    );
  const isDirectory =
    to.isDirectory || copying.draft.lstat(copying.draft.resolve(to.path))?.type === 'directory';
  if (found.length > 1 && !isDirectory && !copy.parents)
    throw wrong(
      place,
      `${shown(word)} matches ${found.length} files, so the destination must end with a slash`,
    );
  for (const selected of found) copySelected(copying, selected, to);
}

async function ownerFor(
  { chown }: Copy,
  replacer: Replacer,
  image: SourceTree,
): Promise<Owner | undefined> {
  const text = chown && replacer.word(chown);
  return text === undefined || text === '' ? undefined : await ownerOf(text, image);
}

function destination(target: string, { workdir }: StageState): Destination {
  if (target === '') throw new MicaError('INVALID_ARGUMENT', 'the destination is empty');
  const bytes = toByteString(target);
  const isDirectory = /(?:^|\/)\.{0,2}$/.test(bytes);
  return { path: clean(posix.resolve('/', toByteString(workdir), bytes)), isDirectory };
}
