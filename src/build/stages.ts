import type { ContainerStore } from '../container/container.ts';
import type { Lease } from '../db/leases.ts';
import type { Context } from '../engine/context.ts';
import { MicaError } from '../errors.ts';
import type { Slots } from '../io/slots.ts';
import { baseImage } from './base-image.ts';
import { specialSource } from './add-special.ts';
import type { BuildOptions } from './builder.ts';
import { type BuildInput, openDirectory } from './context.ts';
import { type RunEnvironment, runStep } from './run/run-step.ts';
import type { Dockerfile, Instruction } from './dockerfile/instruction.ts';
import { located, type Place } from './dockerfile/failure.ts';
import { parseDockerfile } from './dockerfile/parse.ts';
import type { BuildEvent, BuildStep } from './event.ts';
import type { SourceTree } from './files/source-tree.ts';
import { unionFiles } from './files/union-files.ts';
import {
  type NamedContexts,
  type Plan,
  type PlannedStage,
  sourceStage,
  sourcesOf,
} from './plan.ts';
import { type Outcome, StageRun, type StageEnvironment } from './stage.ts';
import { EPOCH, type StageBase } from './stage-state.ts';

export interface StagesOptions {
  readonly context: Context;
  readonly options: BuildOptions;
  readonly dockerfile: Dockerfile;
  readonly plan: Plan;
  readonly input: BuildInput;
  readonly contexts: NamedContexts;
  readonly environment: StageEnvironment;
  readonly emit: (event: BuildEvent) => void;
  /** Instructions carried out at once. */
  readonly slots: Slots;
  readonly directory: string;
  /** The store as containers see it: what RUN is carried out in. */
  readonly containers: ContainerStore;
  readonly lease: Lease;
  readonly owner: AsyncDisposableStack;
}

/** An instruction, and the text that it is from: the Dockerfile, or a trigger of a base image. */
interface Todo {
  readonly dockerfile: Dockerfile;
  readonly instruction: Instruction;
}

/** The stages of a build: all that are needed, side by side; who needs another one waits for it. */
export class Stages {
  readonly #parts: StagesOptions;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #stages = new Map<number, Promise<StageBase>>();
  readonly #sources = new Map<string, Promise<SourceTree>>();
  #begun = 0;
  /** Steps that were taken from the cache. */
  cached = 0;
  /** Steps that could have been. */
  steps = 0;

  constructor(parts: StagesOptions) {
    this.#parts = parts;
    const { signal } = parts.options;
    this.#signal = AbortSignal.any([this.#failed.signal, ...(signal ? [signal] : [])]);
  }

  /** Builds the target. When it settles, nothing runs on; the first failure is told. */
  async run(): Promise<StageBase> {
    const { plan } = this.#parts;
    const needed = [...plan.needed].toSorted((a, b) => a - b);
    const all = needed.map((index) => this.#stage(index));
    await Promise.allSettled(all);
    this.#signal.throwIfAborted();
    return await this.#stage(plan.target);
  }

  #stage(index: number): Promise<StageBase> {
    let stage = this.#stages.get(index);
    if (stage === undefined) {
      stage = this.#build(this.#parts.plan.stages[index]!);
      stage.catch((error: unknown) => this.#failed.abort(error));
      this.#stages.set(index, stage);
    }
    return stage;
  }

  async #build(planned: PlannedStage): Promise<StageBase> {
    const { dockerfile, environment } = this.#parts;
    const { stage } = planned;
    const base = await this.#from(planned);
    const todo: Todo[] = [
      ...triggersOf(base, dockerfile, stage.from.image),
      ...stage.instructions.map((instruction) => ({ dockerfile, instruction })),
    ];
    await using run = new StageRun(base, environment);
    for (const [at, one] of todo.entries())
      await this.#step(
        planned,
        { position: at + 2, of: todo.length + 1, file: one.dockerfile.file, ...one.instruction },
        (step) => this.#carryOut(run, planned, one, step),
      );
    return run.state.finished();
  }

  async #from(planned: PlannedStage): Promise<StageBase> {
    const { base, stage, platform } = planned;
    // The other stage tells of its own steps.
    if (base.kind === 'stage') return await this.#stage(base.index);
    let found: StageBase | undefined;
    const { file } = this.#parts.dockerfile;
    const step = { position: 1, of: stage.instructions.length + 1, file, ...stage.from };
    await this.#step(planned, step, async () => {
      found =
        base.kind === 'scratch' ? { ...SCRATCH, platform } : await this.#image(base.name, planned);
      return { cache: undefined, layer: undefined };
    });
    return found!;
  }

  #image(name: string, planned: PlannedStage): Promise<StageBase> {
    const { context, options, emit } = this.#parts;
    const { platform } = planned;
    return baseImage(context, name, {
      platform,
      pull: options.pull ?? false,
      signal: this.#signal,
      onProgress: (event) => emit({ type: 'base', stage: stageName(planned), image: name, event }),
    });
  }

  async #carryOut(
    run: StageRun,
    planned: PlannedStage,
    todo: Todo,
    step: BuildStep,
  ): Promise<Outcome> {
    const { dockerfile, instruction } = todo;
    const { slots, input, environment, directory, owner } = this.#parts;
    const signal = this.#signal;
    const from = await this.#awaitSources(planned, todo);
    return await slots.use(async () => {
      switch (instruction.kind) {
        case 'run':
          return await runStep(run, dockerfile, instruction, this.#runs(planned, step), { signal });
        case 'copy':
        case 'add':
          return await run.copy(
            dockerfile,
            instruction,
            {
              from: from.get(instruction.from ?? '') ?? input.tree,
              special: (word, copy, place) =>
                specialSource(word, copy, place, {
                  context: input.tree,
                  directory,
                  owner,
                  time: run.state.seconds,
                  signal,
                }),
              warn: (message) => environment.warn(message),
            },
            { signal },
          );
        default:
          return await run.carryOut(dockerfile, instruction, { signal });
      }
    }, signal);
  }

  /** Waits, without taking up a slot, for the stages and images that an instruction takes files from. */
  async #awaitSources(
    planned: PlannedStage,
    { instruction }: Todo,
  ): Promise<ReadonlyMap<string, SourceTree>> {
    const trees = new Map<string, SourceTree>();
    for (const name of sourcesOf(instruction)) trees.set(name, await this.#source(name, planned));
    return trees;
  }

  #runs(planned: PlannedStage, step: BuildStep): RunEnvironment {
    const { environment, input, directory, options, emit, containers, lease } = this.#parts;
    const { layers, given, sourceDateEpoch } = environment;
    return {
      store: containers,
      lease,
      layers,
      context: input.tree,
      directory,
      secrets: options.secrets ?? {},
      given,
      sourceDateEpoch,
      network: options.network ?? 'host',
      hosts: options.hosts ?? [],
      directoryOf: (from) => this.#directory(from),
      snapshotOf: async (from) => {
        const base = await this.#base(from, planned);
        return await layers.commit(base.layers, { signal: this.#signal });
      },
      onOutput: (stream, data) => emit({ type: 'output', step, stream, data }),
    };
  }

  /** What `--from` and `from=` name, unless it is a directory. */
  #base(name: string, planned: PlannedStage): Promise<StageBase> {
    const { dockerfile, contexts } = this.#parts;
    const index = sourceStage(dockerfile, name, planned.stage.index, contexts);
    if (index !== undefined) return this.#stage(index);
    const context = contexts.get(name.toLowerCase());
    return this.#image(context && 'image' in context ? context.image : name, planned);
  }

  /** A context that is a directory, without what its `.dockerignore` leaves out. */
  async #directory(name: string): Promise<SourceTree | undefined> {
    const context = this.#parts.contexts.get(name.toLowerCase());
    return context && 'directory' in context
      ? await openDirectory(context.directory, `the context ${name}`)
      : undefined;
  }

  #source(name: string, planned: PlannedStage): Promise<SourceTree> {
    const { dockerfile, environment, owner, contexts } = this.#parts;
    const index = sourceStage(dockerfile, name, planned.stage.index, contexts);
    const key = index === undefined ? `image ${name}` : `stage ${index}`;
    const known = this.#sources.get(key);
    if (known !== undefined) return known;
    const opened = (async () => {
      const directory = await this.#directory(name);
      if (directory !== undefined) return directory;
      const base = await this.#base(name, planned);
      const tree = await environment.layers.open(base.layers, { signal: this.#signal });
      return unionFiles(owner.use(tree), index === undefined ? `image ${name}` : `stage ${name}`);
    })();
    this.#sources.set(key, opened);
    opened.catch(() => {});
    return opened;
  }

  async #step(
    planned: PlannedStage,
    todo: Pick<BuildStep, 'position' | 'of' | 'source' | 'line'> & Place,
    task: (step: BuildStep) => Promise<Outcome>,
  ): Promise<void> {
    const { emit } = this.#parts;
    const { position, of, source, line } = todo;
    this.#signal.throwIfAborted();
    const step = { id: ++this.#begun, stage: stageName(planned), position, of, source, line };
    const begun = performance.now();
    emit({ type: 'started', step });
    try {
      const { cache, layer } = await task(step);
      if (cache !== undefined) this.steps++;
      if (cache?.hit === true) this.cached++;
      const made = layer && { diffId: layer.diffId, size: layer.descriptor.size };
      const milliseconds = performance.now() - begun;
      emit({ type: 'done', step, cache, layer: made, milliseconds });
    } catch (error) {
      if (this.#signal.aborted || !(error instanceof MicaError)) throw error;
      const told = located(todo, error);
      emit({ type: 'failed', step, message: told.message });
      throw told;
    }
  }
}

const stageName = ({ stage }: PlannedStage): string => stage.name ?? `stage-${stage.index}`;

const SCRATCH: Omit<StageBase, 'platform'> = {
  config: { WorkingDir: '/' },
  history: [],
  layers: [],
  created: EPOCH,
  author: undefined,
};

/** What the base wants to be done first whenever something is built on it. */
function triggersOf({ config }: StageBase, { escape }: Dockerfile, image: string): Todo[] {
  return (config.OnBuild ?? []).flatMap((trigger) => {
    const head = escape === '\\' ? '' : `# escape=${escape}\n`;
    const text = Buffer.from(`${head}FROM scratch\n${trigger}\n`);
    const parsed = parseDockerfile(text, `ONBUILD of ${image}`);
    const [stage, more] = parsed.stages;
    if (more !== undefined)
      throw new MicaError('INVALID_ARGUMENT', `ONBUILD of ${image}: FROM is not allowed in it`);
    return stage!.instructions.map((instruction) => ({ dockerfile: parsed, instruction }));
  });
}
