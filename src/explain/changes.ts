import type { FileType, SurveyedFile, SurveyedPath, UnionTree } from '../union/tree.ts';

/** What one layer does to the layers below it. Directories are not counted. */
export interface LayerChanges {
  /** 0 is the base. */
  readonly layer: number;
  /** Files (and links, devices…) at paths where nothing was. */
  readonly added: number;
  /** Files in place of what was there. */
  readonly changed: number;
  /** Files of lower layers that are gone: by whiteout, opaque directory or replacement. */
  readonly deleted: number;
  /** In bytes, hard links once. */
  readonly addedBytes: number;
  readonly changedBytes: number;
  readonly deletedBytes: number;
}

export type ChangeKind = 'added' | 'changed' | 'deleted';

/** One path that a layer adds, changes or deletes; directories included. */
export interface Change {
  readonly path: string;
  readonly raw: Uint8Array;
  readonly kind: ChangeKind;
  /** What is there afterwards; of a deletion, what was there. */
  readonly type: FileType;
  /** As `type`, in bytes. */
  readonly size: number;
}

/** The changes of every layer, base first, in one pass over all of them. */
export function layerChanges(tree: UnionTree): LayerChanges[] {
  const counters = Array.from({ length: tree.depth }, (_, layer) => new Counter(layer));
  tree.survey((path) => {
    for (const { layer, before, after } of stepsOf(path)) counters[layer]!.add(before, after);
  });
  return counters.map((counter) => counter.result());
}

/** What one layer changes, path by path, in byte order with parents first. */
export function changesOf(tree: UnionTree, layer: number): Change[] {
  const changes: Change[] = [];
  tree.survey((path) => {
    for (const step of stepsOf(path)) {
      if (step.layer !== layer) continue;
      const kind = kindOf(step.before, step.after);
      const file = step.after ?? step.before;
      if (!kind || !file) continue;
      changes.push({ path: path.path, raw: path.raw, kind, type: file.type, size: file.size });
    }
  });
  return changes;
}

/** What one layer does at one path. */
interface Step {
  readonly layer: number;
  /** What the layers below show there. */
  readonly before: SurveyedFile | undefined;
  readonly after: SurveyedFile | undefined;
}

function* stepsOf({ versions }: SurveyedPath): Generator<Step> {
  let before: SurveyedFile | undefined;
  for (const { layer, file } of versions) {
    yield { layer, before, after: file };
    before = file;
  }
}

function kindOf(before: Step['before'], after: Step['after']): ChangeKind | undefined {
  if (!before) return after && 'added';
  if (!after) return 'deleted';
  return after.type === 'directory' && sameDirectory(before, after) ? undefined : 'changed';
}

/** A directory that a layer only passes through on the way to its files. */
const sameDirectory = (before: SurveyedFile, after: SurveyedFile): boolean =>
  before.mode === after.mode && before.uid === after.uid && before.gid === after.gid;

const unlessDirectory = (file: SurveyedFile | undefined): SurveyedFile | undefined =>
  file?.type === 'directory' ? undefined : file;

class Counter {
  readonly #layer: number;
  readonly #counts = { added: 0, changed: 0, deleted: 0 };
  readonly #bytes = { added: 0, changed: 0, deleted: 0 };
  /** Inodes with several names that were counted. */
  readonly #linked = {
    added: new Set<string>(),
    changed: new Set<string>(),
    deleted: new Set<string>(),
  };

  constructor(layer: number) {
    this.#layer = layer;
  }

  add(before: Step['before'], after: Step['after']): void {
    const [old, file] = [unlessDirectory(before), unlessDirectory(after)];
    const kind = kindOf(old, file);
    if (!kind) return;
    this.#counts[kind]++;
    this.#weigh(kind, (file ?? old)!);
  }

  #weigh(kind: ChangeKind, { type, nlink, ino, size }: SurveyedFile): void {
    if (type !== 'file') return;
    if (nlink > 1) {
      if (this.#linked[kind].has(ino)) return;
      this.#linked[kind].add(ino);
    }
    this.#bytes[kind] += size;
  }

  result(): LayerChanges {
    const { added, changed, deleted } = this.#counts;
    return {
      layer: this.#layer,
      added,
      changed,
      deleted,
      addedBytes: this.#bytes.added,
      changedBytes: this.#bytes.changed,
      deletedBytes: this.#bytes.deleted,
    };
  }
}
