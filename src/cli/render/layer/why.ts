import type { Why } from '../../../explain/why.ts';
import type { Cover, PathLayer, TreeStat } from '../../../union/tree.ts';
import { escape } from '../escape.ts';
import { size } from '../quantity.ts';
import { kindOf, octalMode, statJson, timeString } from '../file/stat.ts';

/** What is known of a layer by its number. */
export interface LayerLabel {
  readonly id: string;
  readonly createdBy: string | undefined;
}

/** The answer as text: what one sees, then every layer's word, topmost first. */
export function renderWhy(why: Why, labels: readonly LayerLabel[]): string {
  const lines = [
    ...linkLines(why, labels),
    headline(why),
    ...why.layers.flatMap((word) => layerLines(word, labels)),
  ];
  const text = lines.map((line) => `${line}\n`).join('');
  if (why.stat?.type !== 'symlink') return text;
  if (!why.target) return `${text}\nIt leads in circles.\n`;
  // The links up to here, and the one here, have been told.
  const target = { ...why.target, links: why.target.links.slice(why.links.length + 1) };
  return `${text}\nIt leads to:\n${renderWhy(target, labels)}`;
}

function linkLines({ links }: Why, labels: readonly LayerLabel[]): string[] {
  return links.map(
    ({ path, target, layer }) =>
      `${escape(path)} is a link to ${escape(target)} (${layerName(layer, labels)})`,
  );
}

function headline({ path, state, layers, stat }: Why): string {
  const name = escape(path);
  if (state === 'absent') return `${name}: no layer has it`;
  if (state === 'deleted') {
    const by = layers.find(({ kind }) => kind === 'deletes') ?? layers[0];
    const gone = by && 'by' in by ? by.by.layer : by?.layer;
    return `${name}: deleted by layer ${(gone ?? 0) + 1}`;
  }
  const merged = layers.filter(({ kind }) => kind === 'merges').length;
  const hidden = layers.filter(({ kind }) => kind === 'hidden').length;
  const provider = layers.find(({ kind }) => kind === 'provides');
  const extra = [
    ...(hidden > 0
      ? [`hides ${hidden === 1 ? 'an older version' : `${hidden} older versions`}`]
      : []),
    ...(merged > 0
      ? [`merged with ${merged === 1 ? 'one more layer' : `${merged} more layers`}`]
      : []),
  ];
  const from = `from layer ${(provider?.layer ?? 0) + 1}`;
  return `${name}: ${stat ? describe(stat) : ''}, ${[from, ...extra].join(', ')}`;
}

function layerLines(word: PathLayer, labels: readonly LayerLabel[]): string[] {
  const head = `  ${layerName(word.layer, labels)}`;
  const label = labels[word.layer];
  const command = label?.createdBy ? [`      ${escape(label.createdBy.trim())}`] : [];
  return [`${head}: ${verdict(word)}`, ...command];
}

function verdict(word: PathLayer): string {
  switch (word.kind) {
    case 'provides':
      return `provides it: ${describe(word.stat)}`;
    case 'merges':
      return `adds to the directory: ${describe(word.stat)}`;
    case 'hidden':
      return `hidden, ${coverOf(word.by)}: ${describe(word.stat)}`;
    default:
      return `deletes it, ${spelled(word.by)}`;
  }
}

/** How it is covered, seen from below. */
function coverOf({ layer, how, path }: Cover): string {
  const name = escape(path);
  switch (how) {
    case 'version':
      return `replaced by layer ${layer + 1}`;
    case 'whiteout':
      return `deleted by layer ${layer + 1} (whiteout of ${name})`;
    case 'opaque':
      return `deleted by layer ${layer + 1} (${name} was emptied)`;
    default:
      return `deleted by layer ${layer + 1} (${name} became something else)`;
  }
}

/** How it is deleted, seen from above. */
function spelled({ how, path }: Cover): string {
  const name = escape(path);
  switch (how) {
    case 'whiteout':
      return `by a whiteout of ${name}`;
    case 'opaque':
      return `since it empties ${name} (opaque)`;
    default:
      return `since ${name} became something else`;
  }
}

function layerName(layer: number, labels: readonly LayerLabel[]): string {
  const id = labels[layer]?.id;
  return `layer ${layer + 1}${id ? ` ${id}` : ''}`;
}

function describe(stat: TreeStat): string {
  const { type, uid, gid, target, major, minor } = stat;
  const what =
    type === 'symlink'
      ? `link to ${escape(target ?? '')}`
      : type === 'char' || type === 'block'
        ? `${kindOf(stat)} ${major}:${minor}`
        : type === 'file'
          ? `file of ${size(stat.size)}`
          : kindOf(stat);
  return `${what}, mode ${octalMode(stat)}, owner ${uid}:${gid}, ${timeString(stat)}`;
}

/** The same for programs; layers are counted from 1, the base. */
export function whyJson(why: Why, path: Uint8Array): object {
  const cover = (by: Cover): object => ({ ...by, layer: by.layer + 1 });
  return {
    path: why.path,
    state: why.state,
    ...(why.stat && { stat: statJson(path, why.path, why.stat) }),
    links: why.links.map((link) => ({ ...link, layer: link.layer + 1 })),
    layers: why.layers.map((word) => ({
      layer: word.layer + 1,
      kind: word.kind,
      ...('stat' in word && { stat: statJson(path, why.path, word.stat) }),
      ...('by' in word && { by: cover(word.by) }),
    })),
    ...(why.target && { target: whyJson(why.target, Buffer.from(why.target.path)) }),
  };
}
