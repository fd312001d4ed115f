import type {
  FileType,
  PathVersion,
  SurveyedFile,
  SurveyedPath,
  UnionTree,
} from '../union/tree.ts';

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
    for (const { layer, kind, file } of changesAt(path))
      if (file.type !== 'directory') counters[layer]!.add(kind, file);
  });
  return counters.map((counter) => counter.result());
}

/** What one layer changes, path by path, in byte order with parents first. */
export function changesOf(tree: UnionTree, layer: number): Change[] {
  const changes: Change[] = [];
  tree.survey((path) => {
    for (const step of changesAt(path)) {
      if (step.layer !== layer) continue;
      const { kind, file } = step;
      changes.push({ path: path.path, raw: path.raw, kind, type: file.type, size: file.size });
    }
  });
  return changes;
}

interface Step {
  readonly layer: number;
  readonly kind: ChangeKind;
  readonly file: SurveyedFile;
}

/** Replays the versions of one path: what each layer does to the state that the ones below left. */
function* changesAt({ versions }: SurveyedPath): Generator<Step> {
  let before: SurveyedFile | undefined;
  for (const { layer, file } of versions) {
    const kind = kindOf(before, file);
    if (kind) yield { layer, kind, file: (file ?? before)! };
    before = file;
  }
}

function kindOf(
  before: SurveyedFile | undefined,
  after: PathVersion['file'],
): ChangeKind | undefined {
  if (!before) return after && 'added';
  if (!after) return 'deleted';
  return after.type === 'directory' && sameDirectory(before, after) ? undefined : 'changed';
}

/** A directory that a layer only passes through on the way to its files. */
const sameDirectory = (before: SurveyedFile, after: SurveyedFile): boolean =>
  before.mode === after.mode && before.uid === after.uid && before.gid === after.gid;

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

  add(kind: ChangeKind, file: SurveyedFile): void {
    this.#counts[kind]++;
    if (file.type !== 'file') return;
    if (file.nlink > 1) {
      if (this.#linked[kind].has(file.ino)) return;
      this.#linked[kind].add(file.ino);
    }
    this.#bytes[kind] += file.size;
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
