import { evaluate } from './evaluate.ts';
import { FUNCTIONS, type Functions } from './functions.ts';
import { parse } from './parse.ts';
import type { Value } from './value.ts';

/** A `--format` template, parsed once. */
export type Template = (data: Value) => string;

/**
 * The part of Go's `text/template`, with docker's functions, that people use in `--format`:
 * fields, indexes, `range`, `if`, `with`, variables, pipelines and comparisons. Not in it:
 * `define`, `template`, `block`, `call`, `html`, `js`, `urlquery`, complex numbers.
 * @throws INVALID_ARGUMENT in docker's words, here or when the template is used
 */
export function compileTemplate(text: string, functions: Functions = FUNCTIONS): Template {
  const statements = parse(text);
  return (data) => evaluate({ text, statements, functions }, data);
}
