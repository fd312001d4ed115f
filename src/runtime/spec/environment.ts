import type { ContainerDefaults } from '../../oci/config.ts';
import type { ContainerOptions } from './options.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * A process' environment: Docker's defaults, what the image sets, then what was asked for. Each name
 * keeps its first place and gets its last value; a name without `=` is removed.
 */
export function environmentOf(
  image: ContainerDefaults,
  options: Pick<ContainerOptions, 'env' | 'tty'>,
  self: { readonly hostname: string; readonly home: string },
): string[] {
  const defaults = [
    `PATH=${PATH}`,
    `HOSTNAME=${self.hostname}`,
    ...(options.tty ? ['TERM=xterm'] : []),
  ];
  const found = new Map<string, string>();
  for (const entry of [...defaults, ...(image.Env ?? []), ...(options.env ?? [])]) {
    const equals = entry.indexOf('=');
    if (equals > 0) found.set(entry.slice(0, equals), entry);
    else if (equals < 0) found.delete(entry);
  }
  if (!found.has('HOME')) found.set('HOME', `HOME=${self.home}`);
  return [...found.values()].filter((entry) => !entry.includes('\0'));
}
