import type { BuildResult } from '../../../build/builder.ts';
import type { BuildEvent } from '../../../build/event.ts';
import type { Cli } from '../../cli.ts';

export interface BuildProgress {
  readonly quiet?: boolean;
  readonly progress: 'auto' | 'tty' | 'plain' | 'json' | 'quiet';
  readonly json?: boolean;
  /** Say why steps missed the cache. */
  readonly explain?: boolean;
}

/** Shows a build. */
export interface BuildRenderer {
  event(event: BuildEvent): void;
  /** @param result - `undefined`: it failed */
  end(result: BuildResult | undefined): void;
}

/** `undefined`: nothing is shown. */
export async function openBuildProgress(
  cli: Cli,
  { quiet, progress, json, explain = false }: BuildProgress,
): Promise<BuildRenderer | undefined> {
  const output = json ? cli.err : cli.out;
  const write = (text: string): void => void output.stream.write(text);
  const style = progress === 'auto' ? (output.isTTY ? 'tty' : 'plain') : progress;
  if (quiet || style === 'quiet') return undefined;
  if (style === 'json') return (await import('./json-lines.ts')).jsonBuild(write);
  if (style === 'tty')
    return (await import('./terminal.ts')).terminalBuild(output.stream, { explain });
  return (await import('./plain.ts')).plainBuild(write, { explain });
}
