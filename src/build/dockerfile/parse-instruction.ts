import { shown, wrong } from './failure.ts';
import type { Instruction } from './instruction.ts';
import type { Logical } from './lines.ts';
import { parseCopy } from './parse/copy.ts';
import { Flags } from './parse/flags.ts';
import type { Pieces } from './parse/pieces.ts';
import { parseHealthcheck } from './parse/healthcheck.ts';
import { commandForm, pairsOf, single, wordsOf } from './parse/operands.ts';
import { parseRun } from './parse/run.ts';
import { splitFlags, splitPlain, splitQuoted } from './words.ts';

type Parse = (pieces: Pieces) => Instruction;

const located = ({ logical }: Pieces): { readonly line: number; readonly source: string } => ({
  line: logical.line,
  source: logical.text,
});

const PARSERS: Readonly<Record<string, Parse>> = {
  add: parseCopy,
  copy: parseCopy,
  run: parseRun,
  healthcheck: parseHealthcheck,
  arg: (pieces) => ({ ...located(pieces), kind: 'arg', args: argsOf(pieces) }),
  env: (pieces) => ({ ...located(pieces), kind: 'env', pairs: pairsOf(pieces) }),
  label: (pieces) => ({ ...located(pieces), kind: 'label', pairs: pairsOf(pieces) }),
  cmd: (pieces) => ({ ...located(pieces), kind: 'cmd', form: commandForm(pieces) }),
  entrypoint: (pieces) => ({ ...located(pieces), kind: 'entrypoint', form: commandForm(pieces) }),
  expose: (pieces) => ({ ...located(pieces), kind: 'expose', words: wordsOf(pieces) }),
  volume: (pieces) => ({ ...located(pieces), kind: 'volume', words: wordsOf(pieces) }),
  user: (pieces) => ({ ...located(pieces), kind: 'user', word: single(pieces) }),
  workdir: (pieces) => ({ ...located(pieces), kind: 'workdir', word: single(pieces) }),
  stopsignal: (pieces) => ({ ...located(pieces), kind: 'stopsignal', word: single(pieces) }),
  maintainer: (pieces) => ({ ...located(pieces), kind: 'maintainer', word: single(pieces) }),
  shell: parseShell,
  onbuild: parseOnbuild,
};

const KEYWORDS = [...Object.keys(PARSERS), 'from'];

export function parseInstruction(
  logical: Logical,
  { file, escape }: { readonly file: string; readonly escape: string },
): Instruction {
  const place = { file, line: logical.line };
  const keyword = /^\S*/.exec(logical.text)![0].toLowerCase();
  const parse = Object.hasOwn(PARSERS, keyword) ? PARSERS[keyword] : undefined;
  if (parse === undefined)
    throw wrong(place, `there is no instruction ${shown(keyword.toUpperCase())}${advice(keyword)}`);
  const { flags, rest } = splitFlags(logical.text.slice(keyword.length), escape);
  const given = new Flags(flags, place, keyword);
  const parsed = parse({ keyword, flags: given, rest, logical, file, escape });
  given.end();
  return parsed;
}

/** Letters that were left out or have changed places. */
function advice(keyword: string): string {
  const letters = sorted(keyword);
  const near = KEYWORDS.find(
    (known) =>
      sorted(known) === letters ||
      (keyword.length > 2 && (known.startsWith(keyword) || keyword.startsWith(known))),
  );
  return near === undefined ? '' : `; is ${near.toUpperCase()} meant?`;
}

const sorted = (word: string): string => word.split('').toSorted().join('');

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

function argsOf(pieces: Pieces): { name: string; value: string | undefined }[] {
  const place = { file: pieces.file, line: pieces.logical.line };
  const words = splitQuoted(pieces.rest, pieces.escape);
  if (words.length === 0) throw wrong(place, 'ARG wants NAME or NAME=VALUE');
  return words.map((word) => {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    if (!NAME.test(name)) throw wrong(place, `${shown(name)} cannot name an argument`);
    return { name, value: equals < 0 ? undefined : word.slice(equals + 1) };
  });
}

function parseShell(pieces: Pieces): Instruction {
  const form = commandForm(pieces);
  if (form.shell || form.words.length === 0)
    throw wrong(
      { file: pieces.file, line: pieces.logical.line },
      'SHELL wants a JSON list of words, like ["/bin/bash", "-c"]',
    );
  return { ...located(pieces), kind: 'shell', words: form.words };
}

function parseOnbuild(pieces: Pieces): Instruction {
  const { rest, file, escape, logical } = pieces;
  const [keyword = ''] = splitPlain(rest.slice(0, 100));
  const place = { file, line: logical.line };
  if (keyword === '') throw wrong(place, 'ONBUILD wants an instruction');
  if (['onbuild', 'from', 'maintainer'].includes(keyword.toLowerCase()))
    throw wrong(place, `${keyword.toUpperCase()} is not allowed in ONBUILD`);
  // Whoever builds on the image must not be the first to learn that it is malformed.
  parseInstruction({ ...logical, text: rest }, { file, escape });
  const heredocs = logical.heredocs.map(({ name, content }) => `\n${content}${name}`);
  return { ...located(pieces), kind: 'onbuild', trigger: rest + heredocs.join('') };
}
