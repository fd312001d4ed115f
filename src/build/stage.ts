import type { Abortable } from '../io/bytes.ts';
import { chainIds } from '../oci/digest.ts';
import type { UnionTree } from '../union/tree.ts';
import type { StepInputs } from '../db/build-steps.ts';
import type { BuildCache, CachedStep, StepResult } from './cache.ts';
import type { Copy, Dockerfile, Instruction } from './dockerfile/instruction.ts';
import { digestDraft } from './draft/digest.ts';
import { LayerDraft, ROOT } from './draft/draft.ts';
import { writeDraft } from './draft/write.ts';
import type { CacheAnswer } from './event.ts';
import { type SourceTree, toByteString, toText } from './files/source-tree.ts';
import { unionFiles } from './files/union-files.ts';
import { absolute, configure } from './instructions/configure.ts';
import { type CopySources, draftCopy } from './instructions/copy.ts';
import { type BuiltLayer, type StageBase, StageState, timeOf } from './stage-state.ts';
import type { BuildLayers } from './store/layers.ts';
import { expandedArgs, Replacer } from './variables.ts';

/** What a stage needs of the build that it is part of. */
export interface StageEnvironment {
  readonly layers: BuildLayers;
  readonly cache: BuildCache;
  readonly globals: ReadonlyMap<string, string>;
  /** `--build-arg`. */
  readonly given: Readonly<Record<string, string>>;
  /** Gets the names of build arguments that were asked for. */
  readonly used: Set<string>;
  readonly sourceDateEpoch: number | undefined;
  warn(message: string): void;
}

/** How an instruction was carried out. */
export interface Outcome {
  readonly cache: CacheAnswer | undefined;
  readonly layer: BuiltLayer | undefined;
}

const NO_LAYER: Outcome = { cache: undefined, layer: undefined };

/** A stage while its instructions are carried out, one after the other. */
export class StageRun implements AsyncDisposable {
  readonly state: StageState;
  readonly #environment: StageEnvironment;
  #tree: { readonly depth: number; readonly tree: UnionTree } | undefined;

  constructor(base: StageBase, environment: StageEnvironment) {
    this.state = new StageState(base, environment.sourceDateEpoch);
    this.#environment = environment;
  }

  /** ChainID of what there is, '' for nothing. */
  get chain(): string {
    return chainIds(this.state.layers.map(({ diffId }) => diffId)).at(-1) ?? '';
  }

  /** What the image has so far. Good until the next instruction. */
  async files(options: Abortable): Promise<SourceTree> {
    const { layers } = this.state;
    if (this.#tree?.depth !== layers.length) {
      await this.#close();
      this.#tree = {
        depth: layers.length,
        tree: await this.#environment.layers.open(layers, options),
      };
    }
    return unionFiles(this.#tree.tree, 'the image');
  }

  /** All but RUN, COPY and ADD. */
  async carryOut(
    dockerfile: Dockerfile,
    instruction: Exclude<Instruction, { kind: 'run' | 'copy' | 'add' }>,
    options: Abortable,
  ): Promise<Outcome> {
    if (instruction.kind === 'workdir')
      return await this.#workdir(dockerfile, instruction, options);
    if (instruction.kind === 'arg') this.#arg(dockerfile, instruction);
    else configure(dockerfile, instruction, this.state);
    return NO_LAYER;
  }

  async copy(
    dockerfile: Dockerfile,
    instruction: Copy,
    sources: Omit<CopySources, 'image'>,
    options: Abortable,
  ): Promise<Outcome> {
    const image = await this.files(options);
    const draft = await draftCopy(
      dockerfile,
      instruction,
      this.state,
      { ...sources, image },
      options,
    );
    const replacer = new Replacer(dockerfile, instruction, this.state.lookup);
    const { kind, chown, chmod, heredocs, target } = instruction;
    const words = [
      kind.toUpperCase(),
      ...(chown === undefined ? [] : [`--chown=${replacer.word(chown)}`]),
      ...(chmod === undefined ? [] : [`--chmod=${replacer.word(chmod)}`]),
      ...heredocs.map(({ name }) => `<<${name}`),
      ...[...instruction.sources, target].map((word) => replacer.word(word)),
    ];
    const parent = instruction.link ? '' : this.chain;
    const step = { kind, source: instruction.source, parent };
    return await this.#draft(draft, step, words.join(' '), options);
  }

  async #workdir(
    dockerfile: Dockerfile,
    instruction: Extract<Instruction, { kind: 'workdir' }>,
    options: Abortable,
  ): Promise<Outcome> {
    const { state } = this;
    const replacer = new Replacer(dockerfile, instruction, state.lookup);
    const path = absolute(state, replacer.word(instruction.word));
    state.config = { ...state.config, WorkingDir: path };
    const draft = new LayerDraft(await this.files(options), state.seconds);
    draft.makeDirectory(draft.resolve(toByteString(path.slice(1))), ROOT);
    const step = { kind: 'workdir', source: instruction.source, parent: this.chain };
    if (draft.files.size > 0) return await this.#draft(draft, step, `WORKDIR ${path}`, options);
    state.record(`WORKDIR ${path}`, undefined);
    return NO_LAYER;
  }

  #arg(dockerfile: Dockerfile, instruction: Extract<Instruction, { kind: 'arg' }>): void {
    const { given, globals, used } = this.#environment;
    const { args, lookup } = this.state;
    const said: string[] = [];
    for (const { name, value } of expandedArgs(dockerfile, instruction, lookup)) {
      const isGiven = Object.hasOwn(given, name);
      if (isGiven) used.add(name);
      const chosen = isGiven ? given[name] : (value ?? globals.get(name));
      if (chosen !== undefined) args.set(name, chosen);
      said.push(chosen === undefined ? name : `${name}=${chosen}`);
    }
    this.state.record(`ARG ${said.join(' ')}`, undefined);
  }

  /** Makes a layer of a draft, unless it was made before. */
  async #draft(
    draft: LayerDraft,
    { kind, source, parent }: Omit<CachedStep, 'inputs'>,
    createdBy: string,
    { signal }: Abortable,
  ): Promise<Outcome> {
    const { layers, sourceDateEpoch } = this.#environment;
    const digests = await digestDraft(draft, { signal });
    const files = [...digests].map(([path, value]) => [`/${toText(path)}`, value] as const);
    const inputs = this.dated(files.toSorted(([a], [b]) => (a < b ? -1 : 1)));
    return await this.made({ kind, source, parent, inputs }, createdBy, async () => ({
      created: timeOf(draft.newest().mtime),
      layer:
        draft.files.size === 0
          ? undefined
          : await layers.add(writeDraft(draft, digests, { sourceDateEpoch, signal }), { signal }),
    }));
  }

  /** Inputs of a step whose result depends on `SOURCE_DATE_EPOCH`. */
  dated(inputs: StepInputs): StepInputs {
    const { sourceDateEpoch } = this.#environment;
    return sourceDateEpoch === undefined
      ? inputs
      : [['SOURCE_DATE_EPOCH', String(sourceDateEpoch)], ...inputs];
  }

  /** Takes a step from the cache, or makes it; what it made is part of the stage then. */
  async made(
    step: CachedStep,
    createdBy: string,
    make: () => Promise<StepResult>,
  ): Promise<Outcome> {
    const { cache } = this.#environment;
    const { result: known, answer } = await cache.find(step);
    const result = known ?? (await make());
    if (known === undefined) cache.keep(step, result, this.state.layers);
    this.state.aged(Date.parse(result.created) / 1000);
    this.state.record(createdBy, result.layer);
    return { cache: answer, layer: result.layer };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    await this.#tree?.tree[Symbol.asyncDispose]();
    this.#tree = undefined;
  }
}
