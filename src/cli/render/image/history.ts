import type { StoredImage } from '../../../engine/stored-image.ts';
import { Struct } from '../../template/value.ts';
import { shortId } from '../name.ts';
import { ago, size, timeOf } from '../quantity.ts';

/** One step of an image's making. */
export interface Step {
  /** RFC 3339. */
  readonly created: string | undefined;
  readonly createdBy: string;
  readonly comment: string;
  /** Of its layer's files, in bytes; 0 without a layer. */
  readonly size: number;
  /** Counted from 1, the base; `undefined`: it made none. */
  readonly layer: number | undefined;
}

/** The steps that made an image, newest first; layers that no step speaks of are steps, too. */
export function stepsOf({ config, layers }: Pick<StoredImage, 'config' | 'layers'>): Step[] {
  const steps: Step[] = [];
  let used = 0;
  for (const { created, created_by = '', comment = '', empty_layer } of config.history ?? []) {
    const layer = empty_layer ? undefined : layers[used++];
    steps.push({
      created,
      createdBy: created_by,
      comment,
      size: layer?.bytes ?? 0,
      layer: layer && used,
    });
  }
  for (const { bytes } of layers.slice(used))
    steps.push({ created: undefined, createdBy: '', comment: '', size: bytes, layer: ++used });
  return steps.toReversed();
}

export const HISTORY_HEADING: Struct = new Struct({
  Comment: 'COMMENT',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  CreatedSince: 'CREATED',
  ID: 'IMAGE',
  Size: 'SIZE',
});

export interface HistoryOptions {
  readonly trunc: boolean;
  readonly human: boolean;
}

/** docker's limit for a command, in characters, ellipsis included. */
const MAX_COMMAND = 45;

/** What `--format` templates see of the steps. */
export function historyFields(
  { id, config, layers }: Pick<StoredImage, 'id' | 'config' | 'layers'>,
  { trunc, human }: HistoryOptions,
): Struct[] {
  return stepsOf({ config, layers }).map((step, index) => {
    const command = step.createdBy.replaceAll('\t', ' ');
    const known = step.created !== undefined;
    const name = trunc ? shortId(id) : id;
    return new Struct(
      {
        Comment: step.comment,
        CreatedAt: known ? `${timeOf(step.created).toISOString().slice(0, 19)}Z` : 'N/A',
        CreatedBy: trunc ? ellipsis(command) : command,
        CreatedSince: known ? ago(timeOf(step.created)) : 'N/A',
        ID: index === 0 ? name : '<missing>',
        Size: human ? size(step.size) : String(step.size),
      },
      { type: 'history' },
    );
  });
}

function ellipsis(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= MAX_COMMAND) return text;
  return `${characters.slice(0, MAX_COMMAND - 1).join('')}…`;
}
