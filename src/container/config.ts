import { applyChanges } from '../image/changes.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import type { ContainerSettings } from './container.ts';

/**
 * How a container runs, in the words of an image: what its image says, and what was asked for
 * instead. An image that is committed from it has this.
 */
export function configOf(
  { options, labels, stopSignal, stopTimeout, changes = [] }: ContainerSettings,
  image: ContainerDefaults,
): ContainerDefaults {
  const isOwn = options.entrypoint !== undefined || (options.command ?? []).length > 0;
  const own = options.env ?? [];
  const names = new Set(own.map((entry) => entry.split('=')[0]));
  const inherited = (image.Env ?? []).filter((entry) => !names.has(entry.split('=')[0]));
  const env = [...inherited, ...own.filter((entry) => entry.includes('='))];
  const entrypoint = options.entrypoint?.filter((word, at) => at > 0 || word !== '');
  const config = {
    ...image,
    User: options.user ?? image.User,
    Env: env.length > 0 ? env : undefined,
    Cmd: isOwn ? options.command : image.Cmd,
    Entrypoint: entrypoint ?? image.Entrypoint,
    WorkingDir: options.workdir ?? image.WorkingDir,
    Labels: Object.keys(labels ?? {}).length > 0 ? { ...image.Labels, ...labels } : image.Labels,
    StopSignal: stopSignal ?? image.StopSignal,
    StopTimeout: stopTimeout ?? image.StopTimeout,
  };
  return applyChanges(config, changes);
}
