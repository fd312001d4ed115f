import type { Logical } from '../lines.ts';
import type { Flags } from './flags.ts';

/** An instruction in pieces, for those who read its operands. */
export interface Pieces {
  readonly keyword: string;
  readonly flags: Flags;
  /** After the flags. */
  readonly rest: string;
  readonly logical: Logical;
  readonly file: string;
  readonly escape: string;
}
