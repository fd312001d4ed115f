import { MicaError } from '../errors.ts';
import { type Platform, parsePlatform } from '../oci/platform.ts';
import { shown, wrong } from './dockerfile/failure.ts';
import type { NamedContext } from './builder.ts';
import type { Dockerfile, Instruction, Stage } from './dockerfile/instruction.ts';
import { mountSource } from './dockerfile/mount.ts';
import { Replacer } from './variables.ts';

/** By their names, in lower case. */
export type NamedContexts = ReadonlyMap<string, NamedContext>;

/** What a stage begins with. */
export type Base =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'image'; readonly name: string; readonly platform: Platform };

export interface PlannedStage {
  readonly stage: Stage;
  readonly base: Base;
  /** What its files are for. */
  readonly platform: Platform;
}

export interface Plan {
  /** All, by number. */
  readonly stages: readonly PlannedStage[];
  readonly target: number;
  /** Numbers of those that the target is made of, itself included. */
  readonly needed: ReadonlySet<number>;
}

export interface PlanOptions {
  readonly target: string | undefined;
  readonly platform: Platform;
  /** Places that were named besides. */
  readonly contexts: NamedContexts;
}

/** Finds out what each stage begins with, and which are needed. */
export function planBuild(
  dockerfile: Dockerfile,
  globals: ReadonlyMap<string, string>,
  { target, platform, contexts }: PlanOptions,
): Plan {
  const stages: PlannedStage[] = [];
  for (const stage of dockerfile.stages) {
    const { base, own } = baseOf(dockerfile, stage, globals, { platform, contexts });
    const inherited = base.kind === 'stage' ? stages[base.index]!.platform : platform;
    stages.push({ stage, base, platform: own ?? inherited });
    refuseLater(dockerfile, stage, contexts);
  }
  const wanted = targetOf(dockerfile, target);
  return { stages, target: wanted, needed: neededBy(dockerfile, stages, wanted, contexts) };
}

function baseOf(
  dockerfile: Dockerfile,
  { index, from }: Stage,
  globals: ReadonlyMap<string, string>,
  { platform, contexts }: Omit<PlanOptions, 'target'>,
): { readonly base: Base; readonly own: Platform | undefined } {
  const place = { file: dockerfile.file, line: from.line };
  const replacer = new Replacer(dockerfile, from, (name) => globals.get(name));
  const name = replacer.word(from.image);
  if (name === '')
    throw wrong(place, `the image ${shown(from.image)} is empty with its variables replaced`);
  const own =
    from.platform === undefined ? undefined : platformOf(replacer.word(from.platform), place);
  const context = contexts.get(name.toLowerCase());
  if (context !== undefined && 'directory' in context)
    throw wrong(place, `the context ${shown(name)} is a directory; a stage begins with an image`);
  if (context !== undefined)
    return { base: { kind: 'image', name: context.image, platform: own ?? platform }, own };
  if (name === 'scratch') return { base: { kind: 'scratch' }, own };
  const earlier = stageNamed(dockerfile, name, index);
  if (earlier !== undefined) return { base: { kind: 'stage', index: earlier }, own };
  return { base: { kind: 'image', name, platform: own ?? platform }, own };
}

function platformOf(
  text: string,
  place: { readonly file: string; readonly line: number },
): Platform {
  try {
    return parsePlatform(text);
  } catch (error) {
    throw wrong(place, (error as Error).message);
  }
}

/** The stage before `before` of this name. */
function stageNamed({ stages }: Dockerfile, name: string, before: number): number | undefined {
  const found = stages.findIndex((stage) => stage.name === name.toLowerCase());
  return found >= 0 && found < before ? found : undefined;
}

/** What `--from` and `from=` name: an earlier stage by name or number; `undefined`: a context or an image. */
export function sourceStage(
  dockerfile: Dockerfile,
  name: string,
  before: number,
  contexts: NamedContexts,
): number | undefined {
  if (contexts.has(name.toLowerCase())) return undefined;
  if (/^\d{1,4}$/.test(name) && Number(name) < before) return Number(name);
  return stageNamed(dockerfile, name, before);
}

/** Who takes files from a stage that comes later, or from himself, does not mean an image of that name. */
function refuseLater(
  { file, stages }: Dockerfile,
  { index, instructions }: Stage,
  contexts: NamedContexts,
): void {
  for (const instruction of instructions)
    for (const source of sourcesOf(instruction)) {
      if (contexts.has(source.toLowerCase())) continue;
      const later =
        stages.find(({ name }) => name === source.toLowerCase())?.index ?? Number(source);
      if (later >= index && later < stages.length)
        throw wrong({ file, line: instruction.line }, `the stage ${source} is not an earlier one`);
    }
}

function targetOf({ stages, file }: Dockerfile, target: string | undefined): number {
  if (target === undefined) return stages.length - 1;
  const named = stages.findIndex(({ name }) => name === target.toLowerCase());
  if (named >= 0) return named;
  if (/^\d{1,4}$/.test(target) && Number(target) < stages.length) return Number(target);
  const names = stages.map(({ name, index }) => name ?? String(index));
  throw new MicaError(
    'NOT_FOUND',
    `${file} has no stage ${shown(target)}; its stages are ${names.join(', ')}`,
  );
}

function neededBy(
  dockerfile: Dockerfile,
  stages: readonly PlannedStage[],
  target: number,
  contexts: NamedContexts,
): Set<number> {
  const needed = new Set<number>();
  const pending = [target];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (needed.has(index)) continue;
    needed.add(index);
    const { base, stage } = stages[index]!;
    if (base.kind === 'stage') pending.push(base.index);
    for (const name of stage.instructions.flatMap(sourcesOf)) {
      const source = sourceStage(dockerfile, name, index, contexts);
      if (source !== undefined) pending.push(source);
    }
  }
  return needed;
}

/** Stages and images that an instruction takes files from. */
export function sourcesOf(instruction: Instruction): string[] {
  if (instruction.kind === 'copy' && instruction.from !== undefined) return [instruction.from];
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.flatMap((text) => mountSource(text) ?? []);
}
