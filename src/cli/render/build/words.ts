import type { BuildResult } from '../../../build/builder.ts';
import type {
  BuildEvent,
  BuildStep,
  CacheAnswer,
  ChangedInput,
  MissReason,
} from '../../../build/event.ts';
import { escape } from '../escape.ts';
import { shortName } from '../name.ts';
import { count, size } from '../quantity.ts';

/** `[build 2/5] RUN make`: on one line, however long the instruction is. */
export function title({ stage, position, of, source }: BuildStep): string {
  const text = source.length > 200 ? `${source.slice(0, 200)}…` : source;
  return `[${escape(stage)} ${position}/${of}] ${escape(text)}`;
}

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)}s`;

/** How a step ended: `CACHED`, or how long it took and what it made. */
export function ending({
  cache,
  layer,
  milliseconds,
}: Extract<BuildEvent, { type: 'done' }>): string {
  if (cache?.hit === true) return 'CACHED';
  const made = layer === undefined ? '' : `, layer of ${size(layer.size)}`;
  return `DONE ${seconds(milliseconds)}${made}`;
}

/** Reasons that are told; more of one kind are counted. */
const TOLD = 8;

/** Why a step was not taken from the cache, a line for each reason. */
export function explanation(cache: CacheAnswer | undefined): string[] {
  if (cache === undefined || cache.hit) return [];
  const lines = cache.reasons.slice(0, TOLD).map(reason);
  const more = cache.reasons.length - TOLD;
  return more > 0 ? [...lines, `and ${count(more, 'more difference')}`] : lines;
}

function reason(miss: MissReason): string {
  if ('input' in miss) return `not cached: ${escape(miss.input)} ${change(miss)}`;
  return `not cached: ${GENERAL[miss.kind]}`;
}

const GENERAL = {
  new: 'no step like it was made here before',
  unwanted: '--no-cache',
  gone: 'its layer is not in the store any more, or compressed otherwise',
} as const;

function change(input: ChangedInput): string {
  if (input.kind === 'removed') return 'is gone';
  return input.kind === 'added' ? `is new${value(input.now)}` : difference(input);
}

/** What a file is in a cache's record: type, mode, owner, and last the digest of its content. */
const FILE =
  /^(file|directory|symlink|fifo|char|block) ([0-7]+) (\d+:\d+)(.*?)(?: ([0-9a-f]{64}))?\s*$/;

function difference({ before = '', now = '' }: ChangedInput): string {
  const [old, fresh] = [FILE.exec(before), FILE.exec(now)];
  if (old === null || fresh === null)
    return isShort(before) && isShort(now)
      ? `changed: ${escape(before)} → ${escape(now)}`
      : 'changed';
  const names = ['type', 'mode', 'owner', 'attributes', 'content'];
  const parts = names.flatMap((name, at) => {
    const [was, is] = [old[at + 1], fresh[at + 1]];
    if (was === is) return [];
    return name === 'content' || name === 'attributes' ? [name] : [`${name} ${was} → ${is}`];
  });
  return `changed: ${parts.join(', ')}`;
}

/** Not a digest, nor a whole script. */
const isShort = (text: string): boolean =>
  text !== '' && text.length <= 60 && !text.startsWith('sha256:');

const value = (text: string | undefined): string =>
  text !== undefined && isShort(text) && !FILE.test(text) ? `: ${escape(text)}` : '';

/** The last lines of a build. */
export function conclusion({ image, tags, cached, steps }: BuildResult): string[] {
  const kept = steps === 0 ? '' : ` (${cached} of ${count(steps, 'step')} from the cache)`;
  return [`Built ${image.id}${kept}`, ...tags.map((tag) => `Tagged ${shortName(tag)}`)];
}
