import { MicaError } from '../../errors.ts';

/** Where something stands in a Dockerfile. */
export interface Place {
  /** As the user named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** What the Dockerfile says at `place` cannot be meant. */
export const wrong = ({ file, line }: Place, message: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `${file}:${line}: ${message}`);

/** What the Dockerfile wants at `place` is not offered. */
export const refused = ({ file, line }: Place, message: string): MicaError =>
  new MicaError('NOT_IMPLEMENTED', `${file}:${line}: ${message}`);

/** A failure of what stands at `place`, which says so, unless it says where it comes from already. */
export const located = ({ file, line }: Place, error: MicaError): MicaError =>
  error.message.startsWith(`${file}:`)
    ? error
    : new MicaError(error.code, `${file}:${line}: ${error.message}`, { cause: error });

/** For messages: not longer than a line or two. */
export const shown = (text: string): string =>
  JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
