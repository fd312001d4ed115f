import { Option, type Command } from 'commander';
import type { Cli } from '../../cli.ts';
import type { Renderer } from './renderer.ts';
import type { Words } from './words.ts';

type Style = 'auto' | 'tty' | 'plain' | 'json' | 'quiet';

export interface ProgressOptions {
  readonly quiet?: boolean;
  readonly progress?: Style;
  /** The result goes to standard output, progress therefore to standard error. */
  readonly json?: boolean;
}

/** Options of every command that moves images. */
export function progressOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--progress <style>', 'how to show progress')
        .choices(['auto', 'tty', 'plain', 'json', 'quiet'])
        .default('auto'),
    )
    .option('--json', 'the result as JSON; progress goes to stderr');
}

/** `undefined`: nothing is shown. */
export async function openProgress(
  cli: Cli,
  options: ProgressOptions,
  words: Words,
): Promise<Renderer | undefined> {
  const output = options.json ? cli.err : cli.out;
  const write = (text: string): unknown => output.stream.write(text);
  switch (styleOf(options, output.isTTY)) {
    case 'quiet':
      return undefined;
    case 'json':
      return (await import('./json-lines.ts')).jsonProgress(write);
    case 'tty':
      return (await import('./terminal.ts')).terminalProgress(output.stream, words);
    default:
      return (await import('./plain.ts')).plainProgress(write, Date.now, words);
  }
}

function styleOf({ quiet, progress = 'auto' }: ProgressOptions, isTTY: boolean): Style {
  if (quiet) return 'quiet';
  if (progress !== 'auto') return progress;
  return isTTY ? 'tty' : 'plain';
}
