import type { Command } from 'commander';
import { collect } from '../list.ts';
import type { EnvironmentFlags } from './environment.ts';

/** docker's flags of a process, whether a container begins with it or it comes later. */
export interface ProcessFlags extends EnvironmentFlags {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly user?: string;
  readonly workdir?: string;
  readonly privileged?: boolean;
}

/** Declares them. What comes after the operand before them belongs to the process. */
export const processFlags = (command: Command): Command =>
  command
    .passThroughOptions()
    .option('-i, --interactive', 'keep standard input open, and hand it ours')
    .option('-t, --tty', 'give it a terminal')
    .option('-e, --env <name=value>', 'environment; NAME alone: with its value here', collect, [])
    .option('--env-file <file>', 'environment from a file, a line each', collect, [])
    .option('-u, --user <user>', 'NAME, UID, NAME:GROUP or UID:GID')
    .option('-w, --workdir <path>', 'working directory in the container')
    .option(
      '--privileged',
      'all capabilities; of a container: all devices, too, and nothing hidden',
    );
