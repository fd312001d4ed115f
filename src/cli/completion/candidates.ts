import { type Argument, Command, type Option } from 'commander';
import type { Cli } from '../cli.ts';
import { CANDIDATES } from '../../snapshot/drivers/candidates.ts';
import { globalOptions } from '../program.ts';
import { FAMILIES, type Verb, VERBS } from '../verbs.ts';
import { imageNames, pathsIn } from './images.ts';

export interface Candidate {
  readonly word: string;
  readonly about?: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Files of this machine are candidates, too: the shell knows them best. */
  readonly files?: boolean;
  /** The word is not finished with any of them. */
  readonly open?: boolean;
}

const NOTHING: Completion = { candidates: [] };
const FILES: Completion = { candidates: [], files: true };

/**
 * What may stand where the cursor is.
 * @param words those after `mica`, the last one being typed
 */
export async function complete(cli: Cli, words: readonly string[]): Promise<Completion> {
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const found = findVerb(before[0] === 'help' ? before.slice(1) : before);
  const completion = await candidatesFor(cli, found, current);
  const candidates = completion.candidates.filter(({ word }) => word.startsWith(current));
  return { ...completion, candidates };
}

/** What the words before the cursor come to. */
interface Found {
  /** Of a family of commands, such as `image`. */
  readonly family: string | undefined;
  readonly verb: Verb | undefined;
  /** After the verb, or all of them without one. */
  readonly rest: readonly string[];
}

function findVerb(words: readonly string[]): Found {
  const valued = new Set(
    globalOptions()
      .filter(takesValue)
      .map(({ long }) => long),
  );
  let family: string | undefined;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word.startsWith('-')) {
      if (valued.has(word)) at++;
      continue;
    }
    const name = family === undefined ? word : `${family} ${word}`;
    const verb = VERBS.find((one) => one.name === name);
    if (verb) return { family, verb, rest: words.slice(at + 1) };
    if (family !== undefined || !FAMILIES.has(word)) break;
    family = word;
  }
  return { family, verb: undefined, rest: words };
}

async function candidatesFor(
  cli: Cli,
  { family, verb, rest }: Found,
  current: string,
): Promise<Completion> {
  const command = new Command();
  for (const option of globalOptions()) command.addOption(verb ? option.hideHelp() : option);
  if (verb) (await verb.load())(command, cli);
  const awaiting = command.options.find(
    (option) => takesValue(option) && isFlagOf(option, rest.at(-1)),
  );
  if (awaiting?.flags.includes('<image>')) return imageNames(cli);
  if (awaiting) return valuesOf(awaiting);
  if (current.startsWith('-')) return optionsOf(command);
  if (!verb) return { candidates: namesIn(family) };
  const operands = operandsOf(command, rest);
  const { registeredArguments } = command;
  const argument = registeredArguments[operands.length] ?? registeredArguments.at(-1);
  if (!argument || (operands.length >= registeredArguments.length && !argument.variadic))
    return NOTHING;
  return argumentsOf(cli, argument, operands, current);
}

const isFlagOf = ({ short, long }: Option, word: string | undefined): boolean =>
  word !== undefined && (word === short || word === long);

const takesValue = ({ required }: Option): boolean => required;

function namesIn(family: string | undefined): Candidate[] {
  const verbs = VERBS.filter(({ hidden }) => !hidden);
  if (family !== undefined)
    return verbs
      .filter(({ name }) => name.startsWith(`${family} `))
      .map(({ name, summary }) => ({ word: name.slice(family.length + 1), about: summary }));
  return [
    ...verbs
      .filter(({ name }) => !name.includes(' '))
      .map(({ name, summary }) => ({ word: name, about: summary })),
    ...[...FAMILIES].map(([word, about]) => ({ word, about })),
    { word: 'help', about: 'Show help' },
  ];
}

function optionsOf({ options }: Command): Completion {
  const shown = options.filter(({ hidden }) => !hidden);
  const candidates = shown.flatMap(({ long, short, description }) =>
    [long, short]
      .filter((flag) => flag !== undefined)
      .map((word) => ({ word, about: description })),
  );
  return { candidates: [...candidates, { word: '--help', about: 'show help' }] };
}

const DRIVERS = CANDIDATES.map(({ name }) => name);

/** Values of options that have no fixed choices. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  platform: [
    'linux/amd64',
    'linux/arm64',
    'linux/arm/v7',
    'linux/386',
    'linux/ppc64le',
    'linux/s390x',
    'linux/riscv64',
  ],
  storageDriver: DRIVERS,
  driver: DRIVERS,
  format: ['json'],
};

function valuesOf(option: Option): Completion {
  const values = option.argChoices ?? VALUES[option.attributeName()];
  if (values) return { candidates: values.map((word) => ({ word })) };
  if (option.flags.includes('<directory>') || option.flags.includes('<file>')) return FILES;
  if (option.attributeName() === 'filter') return filterKeys(option);
  return NOTHING;
}

/** The description names them: `reference=PATTERN, dangling=true`. */
const filterKeys = ({ description }: Option): Completion => ({
  candidates: [...new Set(description.match(/\b[a-z]+=/g))].map((word) => ({ word })),
  open: true,
});

/** Words that are neither options nor their values. */
function operandsOf({ options }: Command, words: readonly string[]): string[] {
  const operands: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (!word.startsWith('-') || word === '-') operands.push(word);
    else if (options.some((option) => takesValue(option) && isFlagOf(option, word))) at++;
  }
  return operands;
}

async function argumentsOf(
  cli: Cli,
  argument: Argument,
  operands: readonly string[],
  current: string,
): Promise<Completion> {
  if (argument.argChoices) return { candidates: argument.argChoices.map((word) => ({ word })) };
  switch (argument.name()) {
    case 'image':
    case 'source':
      return current.includes(':/') ? pathsIn(cli, current) : imageNames(cli);
    case 'path':
      return operands[0] === undefined ? NOTHING : pathsIn(cli, current, operands[0]);
    case 'from':
    case 'to':
      return placesOrImages(cli);
    case 'target':
    case 'directory':
    case 'file':
      return FILES;
    default:
      return NOTHING;
  }
}

const PLACES = ['docker://', 'oci:', 'oci-archive:', 'docker-archive:'];

/** What `mica copy` copies from and to. */
async function placesOrImages(cli: Cli): Promise<Completion> {
  const { candidates } = await imageNames(cli);
  return { candidates: [...PLACES.map((word) => ({ word })), ...candidates], open: true };
}
