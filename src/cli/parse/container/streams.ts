import { MicaError } from '../../../errors.ts';
import type { ContainerFlags } from './flags.ts';

export interface Streams {
  readonly stdin: boolean;
  /** `undefined`: all. */
  readonly shows: ReadonlySet<'stdout' | 'stderr'> | undefined;
}

/** What of a process is connected to who starts it: all, unless `-a` says otherwise. */
export function streamsOf({
  attach,
  interactive = false,
}: Pick<ContainerFlags, 'attach' | 'interactive'>): Streams {
  if (attach.length === 0) return { stdin: interactive, shows: undefined };
  const names = new Set(attach.map((name) => name.toLowerCase()));
  for (const name of names)
    if (!/^std(?:in|out|err)$/.test(name))
      throw new MicaError('INVALID_ARGUMENT', `--attach ${name} is none of stdin, stdout, stderr`);
  return {
    stdin: interactive && names.has('stdin'),
    shows: new Set((['stdout', 'stderr'] as const).filter((name) => names.has(name))),
  };
}
