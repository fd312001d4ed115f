import { MicaError } from '../../errors.ts';

/** What `--chmod` makes of a file's permissions. */
export type ChangeMode = (mode: number, isDirectory: boolean) => number;

/** Reads `755` or `u=rwX,go-w`. @throws INVALID_ARGUMENT */
export function parseMode(text: string): ChangeMode {
  if (/^[0-7]{1,5}$/.test(text)) {
    const wanted = Number.parseInt(text, 8);
    if (wanted <= 0o7777) return () => wanted;
  }
  const clauses = text.split(',').map(parseClause);
  if (clauses.includes(undefined))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--chmod=${text.slice(0, 60)} is neither octal, like 755, nor symbolic, like u=rwX,go=rX`,
    );
  return (mode, isDirectory) =>
    clauses.reduce((changed, clause) => clause!(changed, isDirectory), mode);
}

const WHO: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 };
const BITS: Readonly<Record<string, number>> = {
  r: 0o444,
  w: 0o222,
  x: 0o111,
  s: 0o6000,
  t: 0o1000,
};

function parseClause(text: string): ChangeMode | undefined {
  const [, who = '', actions = ''] = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/.exec(text) ?? [];
  if (actions === '') return undefined;
  const people = who === '' ? 'a' : who;
  const mask = people.split('').reduce((sum, letter) => sum | WHO[letter]!, 0o1000);
  const steps = [...actions.matchAll(/([-+=])([rwxXst]*)/g)];
  return (mode, isDirectory) =>
    steps.reduce((changed, [, operator, letters = '']) => {
      const execute = isDirectory || (changed & 0o111) !== 0 ? 0o111 : 0;
      const bits = letters
        .split('')
        .reduce((sum, letter) => sum | (letter === 'X' ? execute : BITS[letter]!), 0);
      const wanted = bits & mask;
      if (operator === '+') return changed | wanted;
      if (operator === '-') return changed & ~wanted;
      return (changed & ~(mask & 0o6777)) | wanted;
    }, mode);
}
