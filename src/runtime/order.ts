import type { RuntimeChoice } from './find.ts';
import type { LogOptions } from './log/log-file.ts';

/** What a monitor process is told to do, once. Plain data. */
export type Order = RunOrder | ExecOrder | RemoveOrder;

interface Common {
  readonly id: string;
  /** The container's: its bundle, its state, its log. Mode 0700. */
  readonly directory: string;
  readonly runtime: RuntimeChoice;
}

export interface Stdio {
  readonly tty: boolean;
  /** `once`: the first client to end its input ends the process'. `open`: it never ends. */
  readonly stdin: 'none' | 'once' | 'open';
  /** Of the terminal. */
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
  /** Whether who gives the order gets the output. */
  readonly attach: boolean;
}

/** Run the bundle in `directory`, to its end. */
export interface RunOrder extends Common, Stdio {
  readonly kind: 'run';
  readonly log: LogOptions;
  /** The last record is on the disk before anybody hears of the end; `false` for what is removed then. */
  readonly durable: boolean;
  readonly afterwards?: Afterwards | undefined;
}

/** What remains to be done when everything is written, whoever has done it by then. */
export interface Afterwards {
  /** A file that is there as long as something remains. */
  readonly mark: string;
  /** Executed then: once who gave the order, and got the output, has left. */
  readonly command: readonly string[];
}

/** Run one more process in a running container. */
export interface ExecOrder extends Common, Stdio {
  readonly kind: 'exec';
  /** As the runtime specification has it, JSON. */
  readonly process: string;
}

/** End whatever is left of a container that lost its monitor. */
export interface RemoveOrder extends Common {
  readonly kind: 'remove';
}
