import { FUNCTIONS } from './functions.ts';
import { lex, parsingError, type Token } from './lex.ts';
import { charConstant, numberConstant, quotedConstant } from './constant.ts';
import {
  type Branch,
  type Command,
  type Operand,
  type Pipe,
  sourceOf,
  type Statement,
} from './node.ts';

/** Tokens that may begin an operand. */
const OPERANDS = new Set([
  'field',
  'variable',
  'word',
  'number',
  'char',
  'string',
  'raw',
  'dot',
  '(',
]);

/** Nesting beyond this is nobody's template. */
const MAX_DEPTH = 100;

/** @throws INVALID_ARGUMENT in docker's words */
export const parse = (text: string): Statement[] => new Parser(text).template();

class Parser {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;
  #variables: string[] = ['$'];
  #ranges = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = lex(text);
  }

  template(): Statement[] {
    const { statements, stop } = this.#statements();
    if (stop) this.#fail(`unexpected {{${stop}}}`);
    return statements;
  }

  /** Statements up to the end, or to an `{{end}}` or `{{else` (whose word has been read). */
  #statements(): { statements: Statement[]; stop: 'end' | 'else' | undefined } {
    const statements: Statement[] = [];
    for (;;) {
      const token = this.#take();
      if (token.type === 'end') return { statements, stop: undefined };
      if (token.type === 'text') {
        statements.push({ kind: 'text', text: token.text });
        continue;
      }
      const word = this.#skipSpace().type === 'word' ? this.#peek().text : '';
      if (word === 'end' || word === 'else') {
        this.#take();
        if (word === 'end') this.#close('end');
        return { statements, stop: word };
      }
      statements.push(this.#statement(word));
    }
  }

  #statement(word: string): Statement {
    switch (word) {
      case 'if':
      case 'with':
      case 'range':
        this.#take();
        return this.#branch(word);
      case 'break':
      case 'continue':
        this.#take();
        if (this.#ranges === 0) this.#fail(`{{${word}}} outside {{range}}`);
        this.#close(word);
        return { kind: word };
      case 'define':
      case 'template':
      case 'block':
        return this.#fail(`{{${word}}} is not supported`);
      default: {
        const pipe = this.#pipe('command', 'close');
        return { kind: 'action', pipe };
      }
    }
  }

  #branch(kind: Branch['kind']): Branch {
    if (++this.#depth > MAX_DEPTH) this.#fail('nested too deep');
    const outer = this.#variables;
    this.#variables = [...outer];
    const pipe = this.#pipe(kind, 'close');
    if (kind === 'range') this.#ranges++;
    const { statements: body, stop } = this.#statements();
    if (kind === 'range') this.#ranges--;
    if (!stop) this.#fail('unexpected EOF');
    const otherwise = stop === 'else' ? this.#otherwise(kind) : [];
    this.#variables = outer;
    this.#depth--;
    return { kind, pipe, body, otherwise };
  }

  #otherwise(kind: Branch['kind']): Statement[] {
    const next = this.#skipSpace();
    if (kind !== 'range' && next.type === 'word' && next.text === kind) {
      this.#take();
      return [this.#branch(kind)];
    }
    this.#close('else');
    const { statements, stop } = this.#statements();
    if (stop === 'else') this.#fail('expected end; found {{else}}');
    if (!stop) this.#fail('unexpected EOF');
    return statements;
  }

  #pipe(context: string, end: 'close' | ')'): Pipe {
    const { at } = this.#skipSpace();
    const { variables, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#skipSpace();
      if (token.type === end) {
        this.#take();
        break;
      }
      if (!OPERANDS.has(token.type)) this.#unexpected(token, context);
      commands.push(this.#command());
    }
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.slice(1).forEach(({ operands: [first] }, index) => {
      if (first?.kind === 'constant' || first?.kind === 'dot' || first?.kind === 'nil')
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
    });
    return { kind: 'pipe', at, variables, assigns, commands };
  }

  /** `$a :=`, `$a =`, and in a range `$i, $e :=`. */
  #declarations(context: string): Pick<Pipe, 'variables' | 'assigns'> {
    const start = this.#next;
    const variables: string[] = [];
    while (this.#skipSpace().type === 'variable') {
      const { text } = this.#take();
      const { type } = this.#skipSpace();
      if (type !== 'comma' && type !== 'declare' && type !== 'assign') break;
      variables.push(text);
      this.#take();
      if (type === 'comma') {
        if (context !== 'range' || variables.length > 1)
          this.#fail(`too many declarations in ${context}`);
        continue;
      }
      if (type === 'assign') variables.forEach((name) => this.#known(name));
      else this.#variables.push(...variables);
      return { variables, assigns: type === 'assign' };
    }
    if (variables.length > 0) this.#fail('range can only initialize variables');
    this.#next = start;
    return { variables: [], assigns: false };
  }

  #command(): Command {
    const { at } = this.#skipSpace();
    const operands: Operand[] = [];
    for (;;) {
      if (OPERANDS.has(this.#skipSpace().type)) operands.push(this.#operand());
      const token = this.#peek();
      if (token.type === 'space') continue;
      if (token.type === 'pipe') {
        this.#take();
        if (!OPERANDS.has(this.#skipSpace().type)) this.#fail('missing value for command');
        break;
      }
      if (token.type === 'close' || token.type === ')') break;
      this.#unexpected(token, 'operand');
    }
    return { at, operands };
  }

  #operand(): Operand {
    const term = this.#term();
    if (this.#peek().type !== 'field') return term;
    const { at } = this.#peek();
    const names: string[] = [];
    while (this.#peek().type === 'field') names.push(this.#take().text.slice(1));
    switch (term.kind) {
      case 'field':
      case 'variable':
        return { ...term, at, names: [...term.names, ...names] };
      case 'dot':
      case 'nil':
      case 'constant':
        return this.#fail(`unexpected . after term ${JSON.stringify(sourceOf(term))}`);
      default:
        return { kind: 'chain', at, of: term, names };
    }
  }

  #term(): Operand {
    const token = this.#take();
    const { at, text } = token;
    const constant = (value: number | string | boolean | undefined): Operand =>
      value === undefined
        ? this.#fail(`bad constant: ${text}`)
        : { kind: 'constant', at, text, value };
    switch (token.type) {
      case 'dot':
        return { kind: 'dot', at };
      case 'field':
        return { kind: 'field', at, names: [text.slice(1)] };
      case 'variable':
        this.#known(text);
        return { kind: 'variable', at, name: text, names: [] };
      case 'number':
        return constant(numberConstant(text));
      case 'char':
        return constant(charConstant(text));
      case 'string':
        return constant(quotedConstant(text));
      case 'raw':
        return constant(text.slice(1, -1));
      case '(':
        return this.#parenthesised();
      default:
        return this.#word(text, at);
    }
  }

  #word(text: string, at: number): Operand {
    if (text === 'true' || text === 'false')
      return { kind: 'constant', at, text, value: text === 'true' };
    if (text === 'nil') return { kind: 'nil', at };
    if (!FUNCTIONS.has(text)) this.#fail(`function ${JSON.stringify(text)} not defined`);
    return { kind: 'function', at, name: text };
  }

  #parenthesised(): Operand {
    if (++this.#depth > MAX_DEPTH) this.#fail('nested too deep');
    const pipe = this.#pipe('parenthesized pipeline', ')');
    this.#depth--;
    return pipe;
  }

  #known(variable: string): void {
    if (!this.#variables.includes(variable))
      this.#fail(`undefined variable ${JSON.stringify(variable)}`);
  }

  #close(context: string): void {
    const token = this.#skipSpace();
    if (token.type !== 'close') this.#unexpected(token, context);
    this.#take();
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? this.#tokens.at(-1)!;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next++;
    return token;
  }

  #skipSpace(): Token {
    while (this.#peek().type === 'space') this.#next++;
    return this.#peek();
  }

  #unexpected({ type, text }: Token, context: string): never {
    if (type === 'close' && context === 'parenthesized pipeline') this.#fail('unclosed left paren');
    if (type === ')') this.#fail('unexpected right paren');
    return this.#fail(`unexpected ${type === 'end' ? 'EOF' : `<${text}>`} in ${context}`);
  }

  #fail(message: string): never {
    throw parsingError(this.#text, this.#tokens[this.#next - 1]?.at ?? 0, message);
  }
}
