import { MicaError } from '../../errors.ts';

export interface Token {
  readonly type: TokenType;
  /** Offset into the template. */
  readonly at: number;
  readonly text: string;
}

type TokenType =
  | 'text'
  | 'open'
  | 'close'
  | 'space'
  | 'field'
  | 'variable'
  | 'word'
  | 'number'
  | 'char'
  | 'string'
  | 'raw'
  | 'declare'
  | 'assign'
  | 'pipe'
  | 'comma'
  | 'dot'
  | '('
  | ')'
  | 'end';

/** docker's words for a template it cannot make sense of. */
export const parsingError = (text: string, at: number, message: string): MicaError =>
  new MicaError(
    'INVALID_ARGUMENT',
    `template parsing error: template: :${text.slice(0, at).split('\n').length}: ${message}`,
  );

/** Inside of an action; tried in this order. */
const RULES: readonly (readonly [TokenType, RegExp])[] = [
  ['space', /[ \t\r\n]+/y],
  ['string', /"(?:[^"\\\n]|\\[^\n])*"/y],
  ['raw', /`[^`]*`/y],
  ['char', /'(?:[^'\\\n]|\\[^\n])+'/y],
  ['field', /\.[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ['variable', /\$(?:[\p{L}_][\p{L}\p{Nd}_]*)?/uy],
  [
    'number',
    /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y,
  ],
  ['word', /[\p{L}_][\p{L}\p{Nd}_]*/uy],
  ['declare', /:=/y],
  ['assign', /=/y],
  ['pipe', /\|/y],
  ['comma', /,/y],
  ['dot', /\./y],
  ['(', /\(/y],
  [')', /\)/y],
];
const COMMENT = /\{\{(- )?\/\*[\s\S]*?\*\/( -)?\}\}/y;
const OPEN = /\{\{(?:-(?=[ \t\r\n]))?/y;
const CLOSE = /(?:[ \t\r\n]-)?\}\}/y;

/**
 * Cuts a template into tokens; the last one is `end`.
 * @see https://pkg.go.dev/text/template@go1.24.4#hdr-Text_and_spaces
 */
export function lex(text: string): Token[] {
  const tokens: Token[] = [];
  let [at, trim] = [0, false];
  while (at < text.length) {
    const open = text.indexOf('{{', at);
    const end = open === -1 ? text.length : open;
    const comment = open === -1 ? undefined : match(COMMENT, text, open);
    const opening = open === -1 ? undefined : match(OPEN, text, open)!;
    let literal = text.slice(at, end);
    if (trim) literal = literal.trimStart();
    if (comment ? comment.startsWith('{{- ') : opening === '{{-') literal = literal.trimEnd();
    if (literal) tokens.push({ type: 'text', at, text: literal });
    if (comment !== undefined) {
      at = open + comment.length;
      trim = comment.endsWith(' -}}');
    } else if (opening !== undefined) {
      if (/^\s*\/\*/.test(text.slice(open + opening.length)))
        throw parsingError(text, open, 'unclosed comment');
      tokens.push({ type: 'open', at: open, text: opening });
      at = lexAction(text, open + opening.length, tokens);
      trim = tokens.at(-1)!.text.includes('-');
    } else at = end;
  }
  tokens.push({ type: 'end', at, text: '' });
  return tokens;
}

function match(rule: RegExp, text: string, at: number): string | undefined {
  rule.lastIndex = at;
  return rule.exec(text)?.[0];
}

/** @returns where the action ends */
function lexAction(text: string, start: number, tokens: Token[]): number {
  for (let at = start; at < text.length;) {
    const close = match(CLOSE, text, at);
    if (close !== undefined) {
      tokens.push({ type: 'close', at, text: close });
      return at + close.length;
    }
    const token = lexToken(text, at);
    tokens.push(token);
    at += token.text.length;
  }
  throw parsingError(text, text.length, 'unclosed action');
}

function lexToken(text: string, at: number): Token {
  for (const [type, rule] of RULES) {
    const found = match(rule, text, at);
    if (found !== undefined) return { type, at, text: found };
  }
  throw parsingError(text, at, complaint(text, at));
}

function complaint(text: string, at: number): string {
  const char = String.fromCodePoint(text.codePointAt(at)!);
  if (char === '"') return 'unterminated quoted string';
  if (char === '`') return 'unterminated raw quoted string';
  if (char === "'") return 'unterminated character constant';
  const code = char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
  return `unexpected bad character U+${code} '${char}' in command`;
}
