/** Foretells, token by token, what an encoder made of the data, and is told what it really did. */
export interface Predictor {
  /** Length of the match that begins at `at`; 0: a literal. */
  predict(at: number): number;
  /** Of the match that {@link predict} foretold. */
  readonly distance: number;
  /** The encoder made a token of `length` bytes at `at`. */
  advance(at: number, length: number): void;
  /** The encoder stored data as they are. Which tokens it had thought of is not known. */
  pass(at: number, length: number): void;
  /** The window moved, by whole windows. */
  move(by: number): void;
}
