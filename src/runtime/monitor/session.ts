import type { Ending } from '../../sys/process.ts';
import { STREAM } from '../frame.ts';
import type { Stdio } from '../order.ts';
import type { Start } from '../runtime.ts';
import { Clients } from './clients.ts';
import { drain, endOf } from './drain.ts';
import { adopt, type Adopted } from './reaper.ts';
import { type Ends, startWithStdio } from './stdio.ts';

/** One process of a container and everybody connected to it. */
export class Session {
  readonly clients: Clients;
  readonly #options: Stdio;
  #ends: Ends | undefined;
  #child: Adopted | undefined;
  #inputEnded = false;
  #ended = false;

  constructor(options: Stdio) {
    this.#options = options;
    this.clients = new Clients({
      input: (data) => this.#write(data),
      inputEnd: () => {
        if (options.stdin === 'once' && !options.tty) this.#endInput();
      },
      resize: (rows, columns) => this.#ends?.resize(rows, columns),
      flow: (flowing) => this.#flow(flowing),
    });
  }

  /** @returns the process' number; its output rests until `watch` */
  async start(directory: string, start: (start: Start) => Promise<number>): Promise<number> {
    const { pid, ends } = await startWithStdio(this.#options, directory, start);
    this.#ends = ends;
    ends.input?.on('drain', () => this.clients.inputReady());
    // Nobody reads any more: not our failure.
    ends.input?.on('error', () => this.clients.inputReady());
    this.#child = await adopt(pid);
    return pid;
  }

  /** Hands output on until the process has ended and all of it was read. */
  async watch(onOutput: (stream: 'stdout' | 'stderr', data: Buffer) => void): Promise<Ending> {
    let last = process.uptime();
    const open = this.#ends!.sources.map(([name, source]) => {
      source.on('data', (data) => {
        last = process.uptime();
        onOutput(name, data);
        this.clients.output(STREAM[name], data);
      });
      return endOf(source);
    });
    const ending = await this.#child!.ending;
    this.#ended = true;
    this.#flow(true);
    await drain(Promise.all(open), () => last);
    for (const [, source] of this.#ends!.sources) source.destroy();
    this.#ends!.input?.destroy();
    return ending;
  }

  #write(data: Buffer): boolean {
    const input = this.#ends?.input;
    if (input === undefined || this.#inputEnded || input.destroyed) return true;
    return input.write(data);
  }

  #endInput(): void {
    this.#inputEnded = true;
    this.#ends?.input?.end();
  }

  /** What is left when the process has ended is little, and waits for nobody. */
  #flow(flowing: boolean): void {
    for (const [, source] of this.#ends?.sources ?? [])
      if (flowing || this.#ended) source.resume();
      else source.pause();
  }
}
