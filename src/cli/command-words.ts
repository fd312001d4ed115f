/** Global options whose value may be the next word. */
const VALUED: ReadonlySet<string> = new Set(['--root', '--storage-driver', '--config']);

/**
 * The first words of a command line that are neither options nor their values: its command. Told
 * without loading anything, for what is to be decided before.
 */
export function commandWords(args: readonly string[]): readonly [first?: string, second?: string] {
  const words: string[] = [];
  for (let at = 0; at < args.length && words.length < 2; at++) {
    const arg = args[at]!;
    if (VALUED.has(arg)) at++;
    else if (!arg.startsWith('-')) words.push(arg);
  }
  return words as [string?, string?];
}

const containerVerb = (args: readonly string[]): string | undefined => {
  const [first, second] = commandWords(args);
  return first === 'container' ? second : first;
};

/** Whether it runs a process in a container. */
export const runsProcess = (args: readonly string[]): boolean =>
  startsContainer(args) || containerVerb(args) === 'exec';

/** Whether it ends as the container does that it starts. */
export const startsContainer = (args: readonly string[]): boolean => containerVerb(args) === 'run';
