import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContainerStore } from '../../container/container.ts';
import type { Lease } from '../../db/leases.ts';
import type { Abortable } from '../../io/bytes.ts';
import { parseMount } from '../dockerfile/mount.ts';
import type { Dockerfile, Run } from '../dockerfile/instruction.ts';
import type { SourceTree } from '../files/source-tree.ts';
import type { Outcome, StageRun } from '../stage.ts';
import { timeOf } from '../stage-state.ts';
import type { BuildLayers } from '../store/layers.ts';
import { isProxy, Replacer } from '../variables.ts';
import { runCommand } from './command.ts';
import type { BuildSecret } from '../builder.ts';
import type { MountEnvironment } from './mounts.ts';
import { run, type RunInput, runInputs } from './run.ts';

/** What RUN needs of the build. */
export interface RunEnvironment {
  readonly store: ContainerStore;
  readonly lease: Lease;
  readonly layers: BuildLayers;
  readonly context: SourceTree;
  /** Of the build. */
  readonly directory: string;
  readonly secrets: Readonly<Record<string, BuildSecret>>;
  /** `--build-arg`. */
  readonly given: Readonly<Record<string, string>>;
  readonly sourceDateEpoch: number | undefined;
  readonly network: 'none' | 'host';
  readonly hosts: readonly string[];
  snapshotOf: MountEnvironment['snapshotOf'];
  directoryOf: MountEnvironment['directoryOf'];
  readonly onOutput: (stream: 'stdout' | 'stderr', data: Uint8Array) => void;
}

/** Carries out a RUN, or finds that it was before. */
export async function runStep(
  stage: StageRun,
  dockerfile: Dockerfile,
  instruction: Run,
  environment: RunEnvironment,
  { signal }: Abortable,
): Promise<Outcome> {
  const { state } = stage;
  const { layers, sourceDateEpoch, onOutput } = environment;
  const input = inputOf(stage, dockerfile, instruction, environment);
  const directory = await mkdtemp(join(environment.directory, 'run-'));
  try {
    const { place } = input;
    const mounting: MountEnvironment = { ...environment, directory, place, workdir: state.workdir };
    const inputs = await runInputs(input, mounting, { signal });
    const { source } = instruction;
    const step = { kind: 'run', source, parent: stage.chain, inputs: stage.dated(inputs) };
    return await stage.made(step, createdBy(input), async () => {
      const parent = await layers.commit(state.layers, { signal });
      const created = timeOf(Date.now() / 1000);
      const layer = await run(input, parent, mounting, { signal, onOutput }, async (changes) =>
        changes === undefined
          ? undefined
          : await layers.addChanges(changes, { sourceDateEpoch, signal }),
      );
      return { layer, created };
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function inputOf(
  { state }: StageRun,
  dockerfile: Dockerfile,
  instruction: Run,
  { given, network, hosts }: RunEnvironment,
): RunInput {
  const place = { file: dockerfile.file, line: instruction.line };
  const replacer = new Replacer(dockerfile, instruction, state.lookup);
  const { env } = state;
  return {
    place,
    command: runCommand(instruction, state.shell),
    image: state.config,
    args: new Map([...state.args].filter(([name]) => !isProxy(name) && !env.has(name))),
    proxies: new Map(Object.entries(given).filter(([name]) => isProxy(name))),
    mounts: instruction.mounts.map((text) => parseMount(replacer.word(text), place)),
    network: networkOf(instruction) ?? network,
    hosts,
  };
}

const networkOf = ({ network }: Run): 'none' | 'host' | undefined =>
  network === 'none' || network === 'host' ? network : undefined;

/** As BuildKit writes it: arguments in effect, then the command. */
function createdBy({ args, command }: RunInput): string {
  const values = [...args].map(([name, value]) => `${name}=${value}`);
  const counted = values.length === 0 ? [] : [`|${values.length}`, ...values];
  return ['RUN', ...counted, ...command.args].join(' ');
}
