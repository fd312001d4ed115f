import { mkdir, readdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { sweep } from '../container/remove.ts';
import type { Lease } from '../db/leases.ts';
import { containerStore } from '../engine/containers/store.ts';
import type { Context, Store } from '../engine/context.ts';
import { holdImage, publishImage } from '../engine/publish/publish-image.ts';
import { MicaError } from '../errors.ts';
import { Slots } from '../io/slots.ts';
import { formatReference, parseReference, withDefaults } from '../oci/reference.ts';
import { hostPlatform } from '../oci/platform.ts';
import type { BuildOptions, BuildResult } from './builder.ts';
import { BuildCache } from './cache.ts';
import { type BuildInput, openInput } from './context.ts';
import { parseDockerfile } from './dockerfile/parse.ts';
import type { Dockerfile } from './dockerfile/instruction.ts';
import { imageConfig } from './image-config.ts';
import { planBuild } from './plan.ts';
import { refuseRun } from './refuse-run.ts';
import { type StageBase, timeOf } from './stage-state.ts';
import { Stages } from './stages.ts';
import { BuildLayers, imageOf } from './store/layers.ts';
import { globalArguments, isProxy, platformArguments } from './variables.ts';

/** @see Builder.build */
export async function build(context: Context, options: BuildOptions): Promise<BuildResult> {
  options.signal?.throwIfAborted();
  const names = (options.tags ?? []).map((tag) => withDefaults(parseReference(tag)));
  if (names.some(({ digest }) => digest !== undefined))
    throw new MicaError('INVALID_ARGUMENT', 'a tag names what is built; it cannot have a digest');
  const store = await context.store();
  using lease = store.leases.open('build');
  await using owner = new AsyncDisposableStack();
  const directory = await scratchDirectory(store, lease, owner);
  const input = await openInput(options, directory, owner);
  const layers = new BuildLayers(context, store, lease, options);
  const dockerfile = parseDockerfile(input.dockerfile, input.file);
  const parts = { context, options, lease, layers, dockerfile, input, directory, owner };
  const made = await buildStages(parts);
  const { image, documents } = imageOf(made.config, made.built.layers, store);
  holdImage(lease, { image, documents });
  const publication = {
    image,
    documents,
    target: image.descriptor,
    layers: await layers.unpack(made.built.layers, options),
    names,
    repositories: [],
  };
  const stored = await publishImage(store, publication, options);
  return {
    image: stored,
    tags: names.map((name) => formatReference(name)),
    cached: made.cached,
    steps: made.steps,
  };
}

/** A directory of this build alone, gone with it. What killed builds left goes, too. */
async function scratchDirectory(
  { db, leases }: Store,
  { id }: Lease,
  owner: AsyncDisposableStack,
): Promise<string> {
  const all = join(db.root, 'build');
  await mkdir(all, { recursive: true, mode: 0o700 });
  for (const name of await readdir(all))
    if (!leases.isAlive(name)) await rm(join(all, name), { recursive: true, force: true });
  const directory = join(all, id);
  owner.defer(() => rm(directory, { recursive: true, force: true }));
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return directory;
}

interface Parts {
  readonly context: Context;
  readonly options: BuildOptions;
  readonly lease: Lease;
  readonly layers: BuildLayers;
  readonly dockerfile: Dockerfile;
  readonly input: BuildInput;
  readonly directory: string;
  readonly owner: AsyncDisposableStack;
}

interface Made {
  readonly built: StageBase;
  readonly config: ReturnType<typeof imageConfig>;
  readonly cached: number;
  readonly steps: number;
}

async function buildStages(parts: Parts): Promise<Made> {
  const { options, layers, dockerfile, context } = parts;
  const platform = options.platform ?? hostPlatform();
  const given = options.args ?? {};
  const used = new Set<string>();
  const predefined = platformArguments(platform, hostPlatform());
  const globals = globalArguments(dockerfile, predefined, given, used);
  const contexts = new Map(
    Object.entries(options.contexts ?? {}).map(([name, one]) => [name.toLowerCase(), one]),
  );
  const plan = planBuild(dockerfile, globals, { target: options.target, platform, contexts });
  const containers = await containerStore(context);
  if (refuseRun(dockerfile, plan, layers.store)) await sweep(containers);
  const emit = options.onProgress ?? (() => {});
  const warn = (message: string): void => emit({ type: 'warning', message });
  const sourceDateEpoch = epochOf(options, context.config.sourceDateEpoch);
  const stages = new Stages({
    ...parts,
    containers,
    plan,
    contexts,
    emit,
    slots: new Slots(Math.max(2, availableParallelism())),
    environment: {
      layers,
      cache: new BuildCache(layers, options.noCache ?? false),
      globals,
      given,
      used,
      sourceDateEpoch,
      warn,
    },
  });
  const built = await stages.run();
  const unused = Object.keys(given).filter((name) => !used.has(name) && !isKnown(name));
  if (unused.length > 0) warn(`no ARG asks for the build arguments ${unused.join(', ')}`);
  const labelled = withLabels(built, options.labels ?? {});
  const created = sourceDateEpoch === undefined ? built.created : timeOf(sourceDateEpoch);
  const { cached, steps } = stages;
  return { built, config: imageConfig(labelled, created), cached, steps };
}

const isKnown = (name: string): boolean => isProxy(name) || name === 'SOURCE_DATE_EPOCH';

const withLabels = (built: StageBase, labels: Readonly<Record<string, string>>): StageBase =>
  Object.keys(labels).length === 0
    ? built
    : { ...built, config: { ...built.config, Labels: { ...built.config.Labels, ...labels } } };

function epochOf(
  { sourceDateEpoch, args = {} }: BuildOptions,
  configured: number | undefined,
): number | undefined {
  const text = args['SOURCE_DATE_EPOCH'];
  if (text === undefined || text === '') return sourceDateEpoch ?? configured;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new MicaError('INVALID_ARGUMENT', `SOURCE_DATE_EPOCH=${text} is not seconds since 1970`);
}
