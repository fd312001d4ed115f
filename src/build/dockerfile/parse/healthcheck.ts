import { type Place, shown, wrong } from '../failure.ts';
import type { Instruction } from '../instruction.ts';
import type { Pieces } from './pieces.ts';
import { parseJsonForm } from '../words.ts';
import { placeOf } from './operands.ts';

/** In nanoseconds, by Go's names. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
/** Docker refuses less. */
const SHORTEST = 1e6;

export function parseHealthcheck(pieces: Pieces): Instruction {
  const { flags, rest, logical } = pieces;
  const place = placeOf(pieces);
  const duration = (name: string): number | undefined =>
    durationOf(flags.value(name), `--${name}`, place);
  const health = {
    interval: duration('interval'),
    timeout: duration('timeout'),
    startPeriod: duration('start-period'),
    startInterval: duration('start-interval'),
    retries: retriesOf(flags.value('retries'), place),
  };
  const common = { kind: 'healthcheck', line: logical.line, source: logical.text } as const;
  const type = /^\S*/.exec(rest)![0].toUpperCase();
  const command = rest.slice(type.length).trim();
  if (type === 'NONE') {
    if (command !== '' || Object.values(health).some((value) => value !== undefined))
      throw wrong(place, 'HEALTHCHECK NONE has neither arguments nor flags');
    return { ...common, form: 'none', health };
  }
  if (type !== 'CMD') throw wrong(place, `HEALTHCHECK wants CMD or NONE, not ${shown(type)}`);
  const json = parseJsonForm(command);
  if (command === '' || json === 'mixed' || json?.length === 0)
    throw wrong(place, 'HEALTHCHECK CMD wants a command');
  const form = json
    ? ({ shell: false, words: json } as const)
    : ({ shell: true, text: command } as const);
  return { ...common, form, health };
}

function durationOf(text: string | undefined, flag: string, place: Place): number | undefined {
  if (text === undefined) return undefined;
  let sum = 0;
  if (text !== '0') {
    if (!/^(?:\d+(?:\.\d*)?(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text))
      throw wrong(place, `${flag} is ${shown(text)}, not a duration like 1m30s`);
    for (const [, number, unit] of text.matchAll(/([\d.]+)([a-zµμ]+)/g))
      sum += Number(number) * UNITS[unit!]!;
  }
  if (sum !== 0 && sum < SHORTEST) throw wrong(place, `${flag} is shorter than 1ms`);
  return Math.round(sum);
}

function retriesOf(text: string | undefined, place: Place): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw wrong(place, `--retries is ${shown(text)}, not a number`);
}
