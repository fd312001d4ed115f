/** A template function's complaint about its arguments; the evaluator adds where it was called. */
export class FunctionError extends Error {
  override readonly name: string = 'FunctionError';
}
