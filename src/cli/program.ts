import { type Command, Help, Option, type OutputConfiguration } from 'commander';
import type { Cli, GlobalOptions } from './cli.ts';
import { commandWords } from './command-words.ts';
import { declareRefused, refuseFlags } from './docker/refuse-flags.ts';
import { GoCommand } from './go-flags.ts';
import { escapeText } from './render/escape.ts';
import { FAMILIES, type Verb, VERBS } from './verbs.ts';

/**
 * The command line as data for commander: the names that `args` may mean, but arguments and options
 * only of the command that is asked for, whose code is loaded on the way.
 */
export function buildProgram(cli: Cli, version: string, args: readonly string[]): Command {
  const program = new GoCommand('mica');
  program
    .description(
      'Container images as layers you can hold: pull, store, inspect, stack and mount them.',
    )
    .usage('[options] <command>')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput(outputOf(cli))
    .configureHelp({ showGlobalOptions: false, sortOptions: false, optionDescription })
    .helpCommand(false)
    .helpOption('-h, --help', 'show help')
    .version(`mica ${version}`, '-v, --version', 'show the version');
  for (const option of globalOptions()) program.addOption(option);
  program.addHelpText('after', "\nRun 'mica <command> --help' for more, with examples.");

  const verbs = new Map<Command, Verb>();
  const families = new Map<string, Command>();
  for (const verb of verbsFor(args)) verbs.set(declare(program, families, verb), verb);
  program
    .command('help', { hidden: true })
    .argument('[command...]')
    .helpOption(false)
    .action(async (words: string[]) => {
      await program.parseAsync([...words, '--help'], { from: 'user' });
    });

  const load = async (_: Command, command: Command): Promise<void> => {
    const verb = verbs.get(command);
    if (!verb) return;
    (await verb.load())(command, cli);
    declareRefused(command, verb);
    for (const option of globalOptions()) command.addOption(option.hideHelp());
    // Commander gave `--no-x` its default before the option was there.
    for (const option of command.options.filter(({ negate }) => negate))
      command.setOptionValueWithSource(option.attributeName(), true, 'default');
  };
  for (const parent of [program, ...families.values()]) parent.hook('preSubcommand', load);
  program.hook('preAction', (_, command) => {
    cli.options = command.optsWithGlobals<GlobalOptions>();
    const verb = verbs.get(command);
    if (verb) refuseFlags(command, verb);
  });
  return program;
}

/** Those that begin with the command's first word; all, where no verb does, for the help and for suggestions. */
function verbsFor(args: readonly string[]): readonly Verb[] {
  const [first] = commandWords(args);
  const meant = VERBS.filter(({ name }) => name.split(' ')[0] === first);
  return meant.length > 0 ? meant : VERBS;
}

/** A list that is empty unless it is given says nothing about itself. */
function optionDescription(option: Option): string {
  const { defaultValue: value } = option as { readonly defaultValue?: unknown };
  const empty = Array.isArray(value) && value.length === 0;
  return empty ? option.description : new Help().optionDescription(option);
}

/** Taken before the command; after it, too, for those who type them there. */
export const globalOptions = (): Option[] => [
  new Option('--root <directory>', 'where images are stored'),
  new Option('--storage-driver <name>', 'erofs, overlay2, vfs, tar, …: `mica info` has all'),
  new Option('--config <file>', 'configuration file'),
  new Option('--debug', 'show where errors come from'),
];

function declare(program: Command, families: Map<string, Command>, verb: Verb): Command {
  const [first = '', second] = verb.name.split(' ');
  if (second === undefined)
    return program
      .command(first, { hidden: verb.hidden === true })
      .summary(verb.summary)
      .description(verb.summary)
      .helpGroup(verb.group);
  let family = families.get(first);
  if (!family) {
    family = program
      .command(first)
      .description(FAMILIES.get(first) ?? '')
      .helpGroup('As in docker:')
      .helpCommand(false);
    families.set(first, family);
  }
  return family
    .command(second, { hidden: verb.hidden === true })
    .summary(verb.summary)
    .description(verb.summary);
}

/** Commander writes through the same outputs as everything else; it does not wait. */
function outputOf(cli: Cli): OutputConfiguration {
  return {
    writeOut: (text) => cli.out.stream.write(text),
    writeErr: (text) => cli.err.stream.write(text),
    getOutHelpWidth: () => cli.out.columns ?? 80,
    getErrHelpWidth: () => cli.err.columns ?? 80,
    getOutHasColors: () => cli.out.colours,
    getErrHasColors: () => cli.err.colours,
    outputError: (text, write) => write(`mica: ${escapeText(text.replace(/^error: /, ''))}`),
  };
}

/** Adds examples to a command's help. */
export function examples(
  command: Command,
  ...lines: readonly (readonly [command: string, what: string])[]
): void {
  const width = Math.max(...lines.map(([text]) => text.length));
  const text = lines.map(([line, what]) => `  ${line.padEnd(width)}   # ${what}`);
  command.addHelpText('after', `\nExamples:\n${text.join('\n')}`);
}
