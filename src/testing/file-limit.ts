import { execFileSync } from 'node:child_process';

/**
 * Runs a program (statements of a module) that may make files of 20 blocks, of 512 or 1024 bytes as
 * the shell has it, and no larger ones.
 * @returns what it prints
 */
export const underFileLimit = (program: string): string =>
  execFileSync(
    'sh',
    [
      '-c',
      'ulimit -f 20 && exec "$0" --input-type=module -e "$1"',
      process.execPath,
      `import { writeSync as say } from "node:fs";\nconst told = (error) => say(1, error.code + " " + error.message);\n${program}`,
    ],
    { encoding: 'utf8' },
  );

/** How it is said of the file `path`, with `told(error)`, that it became larger than files may be. */
export const saidOfLimit = (path: string): string =>
  `RESOURCE_EXHAUSTED write ${path}: file too large (EFBIG); raise the limit of file sizes (ulimit -f)`;
