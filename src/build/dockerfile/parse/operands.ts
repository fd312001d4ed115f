import { shown, wrong } from '../failure.ts';
import type { Form, Pair } from '../instruction.ts';
import type { Pieces } from './pieces.ts';
import { parseJsonForm, splitPlain, splitQuoted } from '../words.ts';

export const placeOf = ({
  file,
  logical,
}: Pieces): { readonly file: string; readonly line: number } => ({ file, line: logical.line });

/** The whole rest as one word. */
export function single(pieces: Pieces): string {
  if (pieces.rest === '')
    throw wrong(placeOf(pieces), `${pieces.keyword.toUpperCase()} wants an argument`);
  return pieces.rest;
}

/** Words in JSON form, or between white space. At least one. */
export function wordsOf(pieces: Pieces): readonly string[] {
  const { rest, keyword } = pieces;
  const json = parseJsonForm(rest);
  if (json === 'mixed')
    throw wrong(
      placeOf(pieces),
      `${keyword.toUpperCase()} has a list of other things than strings`,
    );
  const words = json ?? splitPlain(rest);
  if (words.length === 0)
    throw wrong(placeOf(pieces), `${keyword.toUpperCase()} wants at least one argument`);
  return words;
}

/** A command for a shell, or as a JSON list. An empty list is one. */
export function commandForm(pieces: Pieces): Form {
  const { rest, keyword } = pieces;
  const json = parseJsonForm(rest);
  if (json === 'mixed')
    throw wrong(
      placeOf(pieces),
      `${keyword.toUpperCase()} has a list of other things than strings`,
    );
  return json === undefined ? { shell: true, text: rest } : { shell: false, words: json };
}

/** `a=b c="d e"`, or the old `a everything else`. */
export function pairsOf(pieces: Pieces): Pair[] {
  const { rest, escape, keyword } = pieces;
  const words = splitQuoted(rest, escape);
  const [first] = words;
  const place = placeOf(pieces);
  if (first === undefined) throw wrong(place, `${keyword.toUpperCase()} wants NAME=VALUE`);
  if (!first.includes('=')) {
    const value = rest.slice(first.length).trim();
    if (value === '') throw wrong(place, `${keyword.toUpperCase()} ${shown(first)} has no value`);
    return [{ name: first, value }];
  }
  return words.map((word) => {
    const equals = word.indexOf('=');
    if (equals <= 0)
      throw wrong(place, `${shown(word)} is not NAME=VALUE; what has spaces must be quoted`);
    return { name: word.slice(0, equals), value: word.slice(equals + 1) };
  });
}
