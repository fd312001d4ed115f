import type { ContainerDefaults, ImageConfig } from '../oci/config.ts';
import type { StageBase } from './stage-state.ts';
import { rootfsOf } from './store/layers.ts';

/** The fields in Docker's order, so that the same image has the same bytes whatever made it so. */
const FIELDS: readonly (keyof ContainerDefaults)[] = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'StopTimeout',
  'Shell',
  'Healthcheck',
  'OnBuild',
  'ArgsEscaped',
];

/** The config of what a build made. */
export function imageConfig(built: StageBase, created: string): ImageConfig {
  const { platform, author, config, history, layers } = built;
  return {
    created,
    ...(author !== undefined && { author }),
    architecture: platform.architecture,
    ...(platform.variant !== undefined && { variant: platform.variant }),
    os: platform.os,
    config: ordered(config),
    rootfs: rootfsOf(layers),
    history,
  };
}

function ordered(config: ContainerDefaults): ContainerDefaults {
  const fields = FIELDS.flatMap((name) => {
    const value = config[name];
    return value === undefined ? [] : [[name, isMap(value) ? sorted(value) : value] as const];
  });
  return Object.fromEntries(fields);
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sorted = (map: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
