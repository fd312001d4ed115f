import { Command, type Option } from 'commander';
import { MicaError } from '../errors.ts';

/**
 * A command whose options may be spelled as docker's library for them has it: those without a value
 * as `--rm=true` and `--sig-proxy=false` too, and short ones as `-n=5`. The last one counts.
 */
export class GoCommand extends Command {
  #endsAtOperand = false;

  override createCommand(name?: string): GoCommand {
    return new GoCommand(name);
  }

  override passThroughOptions(on = true): this {
    this.#endsAtOperand = on;
    return super.passThroughOptions(on);
  }

  override parseOptions(args: string[]): ReturnType<Command['parseOptions']> {
    const { words, switches } = this.#read(args);
    const parsed = super.parseOptions(words);
    for (const [name, value] of switches) this.setOptionValueWithSource(name, value, 'cli');
    return parsed;
  }

  /** Takes out what sets a switch in Go's way. What comes after it, in whatever way, counts instead. */
  #read(args: readonly string[]): { words: string[]; switches: Map<string, boolean> } {
    const switches = new Map<string, boolean>();
    const words: string[] = [];
    for (let at = 0; at < args.length; at++) {
      const arg = args[at]!;
      const ends = !isOption(arg) && (this.#endsAtOperand || this.commands.length > 0);
      if (arg === '--' || ends) {
        words.push(...args.slice(at));
        break;
      }
      const { options, value, on = true } = this.#split(arg);
      const last = options.at(-1);
      for (const option of options) switches.delete(option.attributeName());
      if (last === undefined || last.optional) words.push(arg);
      else if (value === undefined)
        words.push(arg, ...(last.required ? args.slice(++at, at + 1) : []));
      else if (last.required) words.push(...flagsOf(options), value);
      else {
        words.push(...flagsOf(options.slice(0, -1)));
        switches.set(last.attributeName(), booleanOf(arg, value) === on);
      }
    }
    return { words, switches };
  }

  #split(arg: string): Word {
    if (!isOption(arg)) return { options: [] };
    if (arg.startsWith('--')) return this.#splitLong(arg);
    const options: Option[] = [];
    for (let at = 1; at < arg.length; at++) {
      const option = this.options.find(({ short }) => short === `-${arg[at]}`);
      if (option === undefined) return { options: [] };
      options.push(option);
      const rest = arg.slice(at + 1);
      if (rest.startsWith('=')) return { options, value: rest.slice(1) };
      if (option.required && rest !== '') return { options, value: rest };
    }
    return { options };
  }

  #splitLong(arg: string): Word {
    const [flag = '', ...more] = arg.split('=');
    const value = more.length > 0 ? more.join('=') : undefined;
    const option = this.options.find(({ long }) => long === flag);
    if (option) return { options: [option], value, on: !option.negate };
    // What is on unless it is turned off.
    const negated = this.options.find(({ long }) => long === flag.replace(/^--/, '--no-'));
    return negated ? { options: [negated], value: value ?? 'true' } : { options: [] };
  }
}

/** A word of a command line. */
interface Word {
  /** What it stands for. */
  readonly options: readonly Option[];
  /** Of the last of them. */
  readonly value?: string | undefined;
  /** Whether `true` turns that on. */
  readonly on?: boolean;
}

const isOption = (arg: string): boolean => arg.length > 1 && arg.startsWith('-');

const flagsOf = (options: readonly Option[]): string[] =>
  options.map(({ long, short }) => long ?? short!);

/** As Go reads it. @throws INVALID_ARGUMENT */
function booleanOf(arg: string, value: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${arg}: ${JSON.stringify(value)} is neither true nor false`,
  );
}
