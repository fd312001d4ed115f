import { MicaError } from '../../errors.ts';
import { FunctionError } from './operators.ts';
import type { Functions, Parameter, TemplateFunction } from './functions.ts';
import {
  type Command,
  type Operand,
  type Pipe,
  sourceOf,
  sourceOfCommand,
  type Statement,
} from './node.ts';
import {
  isEmpty,
  isList,
  isMap,
  print,
  sortedEntries,
  Struct,
  typeOf,
  type Value,
} from './value.ts';

/** No value is piped in: not the same as the value `undefined`. */
const NOTHING = Symbol('nothing');
type Piped = Value | typeof NOTHING;

/** How a list of statements ended. */
type Flow = 'on' | 'break' | 'continue';

/** A range over more than this is nobody's template. */
const MAX_STEPS = 10_000_000;

/** A parsed template. */
export interface Program {
  readonly text: string;
  readonly statements: readonly Statement[];
  readonly functions: Functions;
}

/** The text of a parsed template for `data`. @throws INVALID_ARGUMENT in docker's words */
export function evaluate({ text, statements, functions }: Program, data: Value): string {
  const run = new Run(text, functions, data);
  run.all(statements, data);
  return run.output;
}

class Run {
  output = '';
  readonly #text: string;
  readonly #functions: Functions;
  /** Innermost last. */
  readonly #variables: { readonly name: string; value: Value }[];
  #steps = 0;

  constructor(text: string, functions: Functions, data: Value) {
    this.#text = text;
    this.#functions = functions;
    this.#variables = [{ name: '$', value: data }];
  }

  all(statements: readonly Statement[], dot: Value): Flow {
    for (const statement of statements) {
      const flow = this.#one(statement, dot);
      if (flow !== 'on') return flow;
    }
    return 'on';
  }

  #one(statement: Statement, dot: Value): Flow {
    switch (statement.kind) {
      case 'text':
        this.output += statement.text;
        return 'on';
      case 'action': {
        const value = this.#pipe(statement.pipe, dot);
        if (statement.pipe.variables.length === 0)
          this.output += value === undefined ? '<no value>' : print(value);
        return 'on';
      }
      case 'break':
      case 'continue':
        return statement.kind;
      default:
        return this.#scoped(() => this.#branch(statement, dot));
    }
  }

  #branch(branch: Statement & { kind: 'if' | 'with' | 'range' }, dot: Value): Flow {
    const value = this.#pipe(branch.pipe, dot, branch.kind === 'range');
    if (branch.kind === 'range') return this.#range(branch, value, dot);
    if (!isEmpty(value)) return this.all(branch.body, branch.kind === 'with' ? value : dot);
    return this.all(branch.otherwise, dot);
  }

  #range(branch: Statement & { kind: 'if' | 'with' | 'range' }, over: Value, dot: Value): Flow {
    const { pipe, body, otherwise } = branch;
    let empty = true;
    for (const [key, item] of this.#items(over, pipe)) {
      empty = false;
      if (++this.#steps > MAX_STEPS) this.#fail(pipe.at, sourceOf(pipe), 'too many steps');
      const flow = this.#scoped(() => {
        const [first, second] = pipe.variables;
        if (first !== undefined) this.#set(first, second === undefined ? item : key, pipe.assigns);
        if (second !== undefined) this.#set(second, item, pipe.assigns);
        return this.all(body, item);
      });
      if (flow === 'break') break;
    }
    return empty ? this.all(otherwise, dot) : 'on';
  }

  *#items(over: Value, pipe: Pipe): Generator<[Value, Value]> {
    if (isList(over)) yield* over.entries();
    else if (isMap(over)) yield* sortedEntries(over);
    else if (typeof over === 'number' && Number.isInteger(over))
      for (let count = 0; count < over; count++) yield [count, count];
    else if (over !== undefined && over !== null)
      this.#fail(pipe.at, sourceOf(pipe), `range can't iterate over ${print(over)}`);
  }

  /** Variables declared within end with it. */
  #scoped(run: () => Flow): Flow {
    const outer = this.#variables.length;
    const flow = run();
    this.#variables.length = outer;
    return flow;
  }

  #set(name: string, value: Value, assigns: boolean): void {
    const known = assigns && this.#variables.findLast((variable) => variable.name === name);
    if (known) known.value = value;
    else this.#variables.push({ name, value });
  }

  #pipe(pipe: Pipe, dot: Value, isRange = false): Value {
    let value: Piped = NOTHING;
    for (const command of pipe.commands) value = this.#command(command, dot, value);
    const result = value === NOTHING ? undefined : value;
    if (!isRange) for (const name of pipe.variables) this.#set(name, result, pipe.assigns);
    return result;
  }

  #command(command: Command, dot: Value, piped: Piped): Value {
    const [first, ...rest] = command.operands as [Operand, ...Operand[]];
    if (first.kind === 'function') return this.#call(first, command, dot, piped);
    const hasArguments = rest.length > 0 || piped !== NOTHING;
    if (hasArguments) this.#refuseArguments(first);
    if (first.kind === 'nil') this.#fail(first.at, 'nil', 'nil is not a command');
    return this.#value(first, dot);
  }

  #refuseArguments(first: Operand): never {
    const names =
      first.kind === 'field' || first.kind === 'chain' || first.kind === 'variable'
        ? first.names
        : [];
    const source = sourceOf(first);
    return names.length > 0
      ? this.#fail(first.at, source, `${names.at(-1)} is not a method but has arguments`)
      : this.#fail(first.at, source, `can't give argument to non-function ${source}`);
  }

  #value(operand: Operand, dot: Value): Value {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'constant':
        return operand.value;
      case 'field':
        return this.#fields(dot, operand.names, operand);
      case 'variable': {
        const known = this.#variables.findLast(({ name }) => name === operand.name);
        return this.#fields(known?.value, operand.names, operand);
      }
      case 'chain':
        return this.#fields(this.#value(operand.of, dot), operand.names, operand);
      case 'pipe':
        return this.#pipe(operand, dot);
      default:
        return this.#call(operand, { at: operand.at, operands: [operand] }, dot, NOTHING);
    }
  }

  #fields(start: Value, names: readonly string[], node: Operand): Value {
    return names.reduce<Value>((value, name) => this.#field(value, name, node), start);
  }

  #field(value: Value, name: string, node: Operand): Value {
    if (isMap(value)) return value.get(name);
    if (value instanceof Struct) {
      if (value.fields.has(name)) return value.fields.get(name);
      const complaint = value.type
        ? `can't evaluate field ${name} in type ${value.type}`
        : `map has no entry for key ${JSON.stringify(name)}`;
      return this.#fail(node.at, sourceOf(node), complaint);
    }
    if (value === undefined) return undefined;
    const complaint =
      value === null
        ? `nil pointer evaluating interface {}.${name}`
        : `can't evaluate field ${name} in type interface {}`;
    return this.#fail(node.at, sourceOf(node), complaint);
  }

  #call(called: Operand & { kind: 'function' }, command: Command, dot: Value, piped: Piped): Value {
    const { name } = called;
    const operands = command.operands.slice(1);
    const fn = this.#functions.get(name)!;
    this.#checkCount(called, fn, operands.length + (piped === NOTHING ? 0 : 1));
    if (name === 'and' || name === 'or') return this.#shortCircuit(name, operands, dot, piped);
    const parameterOf = (index: number): Parameter => fn.parameters[index] ?? fn.parameters.at(-1)!;
    const values = operands.map((operand, index) => {
      const value = this.#value(operand, dot);
      this.#checkType(value, parameterOf(index), operand);
      return value;
    });
    if (piped !== NOTHING) {
      this.#checkType(piped, parameterOf(operands.length), called);
      values.push(piped);
    }
    try {
      return fn.call(...(values as never[]));
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      const complaint = `error calling ${name}: ${error.message}`;
      return this.#fail(command.at, sourceOfCommand(command), complaint);
    }
  }

  #checkCount(called: Operand & { kind: 'function' }, fn: TemplateFunction, got: number): void {
    const { parameters, variadic } = fn;
    const [least, most] = [
      parameters.length - (variadic ? 1 : 0),
      variadic ? Infinity : parameters.length,
    ];
    if (got >= least && got <= most) return;
    const want = variadic ? `at least ${least}` : String(least);
    const complaint = `wrong number of args for ${called.name}: want ${want} got ${got}`;
    this.#fail(called.at, called.name, complaint);
  }

  #shortCircuit(name: 'and' | 'or', operands: readonly Operand[], dot: Value, piped: Piped): Value {
    let value: Value;
    for (const operand of operands) {
      value = this.#value(operand, dot);
      if (isEmpty(value) === (name === 'and')) return value;
    }
    return piped === NOTHING ? value : piped;
  }

  #checkType(value: Value, parameter: Parameter, operand: Operand): void {
    if (parameter === 'any') return;
    const source = sourceOf(operand);
    if (parameter === 'strings') {
      if (isList(value) && value.every((item) => typeof item === 'string')) return;
      this.#fail(
        operand.at,
        source,
        `wrong type for value; expected []string; got ${typeOf(value)}`,
      );
    }
    const wanted = parameter === 'int' ? 'number' : 'string';
    if (typeof value === wanted) return;
    const complaint =
      operand.kind === 'constant'
        ? `expected ${parameter === 'int' ? 'integer' : 'string'}; found ${source}`
        : `wrong type for value; expected ${parameter}; got ${typeOf(value)}`;
    this.#fail(operand.at, source, complaint);
  }

  #fail(at: number, source: string, complaint: string): never {
    const before = this.#text.slice(0, at);
    const line = before.split('\n').length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1));
    throw new MicaError(
      'INVALID_ARGUMENT',
      `template parsing error: template: :${line}:${column}: executing "" at <${source}>: ${complaint}`,
    );
  }
}
