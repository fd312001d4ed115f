import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { ReadStream } from 'node:tty';
import { pipe } from '../../sys/pipe.ts';
import { receiveFdAt } from '../../sys/received-fd.ts';
import { setWindowSize } from '../../sys/terminal.ts';
import type { Stdio } from '../order.ts';
import type { Start } from '../runtime.ts';

type Name = 'stdout' | 'stderr';

/** Our ends of a process' input and output. */
export interface Ends {
  readonly sources: readonly (readonly [Name, Socket])[];
  readonly input?: Socket | undefined;
  /** Tells the terminal its size; of pipes nothing happens. */
  resize(rows: number, columns: number): void;
}

/**
 * Lets `start` start a process on pipes or on a terminal.
 * @param directory where sockets may be made, of any length
 * @returns the process' number and our ends, from which nothing was read yet
 */
export function startWithStdio(
  options: Stdio,
  directory: string,
  start: (start: Start) => Promise<number>,
): Promise<{ readonly pid: number; readonly ends: Ends }> {
  return options.tty ? onTerminal(options, directory, start) : onPipes(options, directory, start);
}

async function onPipes(
  { stdin }: Stdio,
  directory: string,
  start: (start: Start) => Promise<number>,
): Promise<{ readonly pid: number; readonly ends: Ends }> {
  const input = stdin === 'none' ? { read: openSync('/dev/null', 'r') } : pipe();
  const [output, errors] = [pipe(), pipe()];
  const ours = [output.read, errors.read, ...('write' in input ? [input.write] : [])];
  let pid: number;
  try {
    pid = await start({ directory, stdio: [input.read, output.write, errors.write] });
  } catch (error) {
    for (const fd of ours) closeSync(fd);
    throw error;
  } finally {
    // The process has them now; while we had them, too, its end would not be seen.
    for (const fd of [input.read, output.write, errors.write]) closeSync(fd);
  }
  const source = (fd: number): Socket => new Socket({ fd, readable: true, writable: false });
  return {
    pid,
    ends: {
      sources: [
        ['stdout', source(output.read)],
        ['stderr', source(errors.read)],
      ],
      input:
        'write' in input
          ? new Socket({ fd: input.write, readable: false, writable: true })
          : undefined,
      resize() {},
    },
  };
}

async function onTerminal(
  { stdin, size }: Stdio,
  directory: string,
  start: (start: Start) => Promise<number>,
): Promise<{ readonly pid: number; readonly ends: Ends }> {
  const [home, nothing] = [openSync(directory, 'r'), openSync('/dev/null', 'r+')];
  try {
    // By descriptor: the name of a socket has room for 107 bytes.
    const name = `${home}/console-${process.pid}`;
    using receiver = receiveFdAt(`/proc/self/fd/${name}`);
    let master = -1;
    const pid = await start({
      directory,
      stdio: [nothing, nothing, nothing],
      terminal: {
        socket: `/proc/${process.pid}/fd/${name}`,
        arrived() {
          master = receiver.receive();
          if (size !== undefined) setWindowSize(master, size.rows, size.columns);
        },
      },
    });
    const stream = new ReadStream(master);
    return {
      pid,
      ends: {
        sources: [['stdout', stream]],
        input: stdin === 'none' ? undefined : stream,
        resize: (rows, columns) => {
          if (!stream.destroyed) setWindowSize(master, rows, columns);
        },
      },
    };
  } finally {
    closeSync(home);
    closeSync(nothing);
  }
}
