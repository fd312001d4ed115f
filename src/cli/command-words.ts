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

/** Whether it runs a process in a container. */
export function runsProcess(args: readonly string[]): boolean {
  const [first, second] = commandWords(args);
  const verb = first === 'container' ? second : first;
  return verb === 'run' || verb === 'exec';
}
