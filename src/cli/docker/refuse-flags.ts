import { type Command, Option } from 'commander';
import { MicaError } from '../../errors.ts';
import type { Verb } from '../verbs.ts';
import { REFUSED_FLAGS, type RefusedFlag } from './refused-flags.ts';

const refusedOf = ({ name, same = name }: Verb): readonly RefusedFlag[] =>
  REFUSED_FLAGS[same] ?? [];

/** Declares what docker has and we have not, so that it is refused with a reason. */
export function declareRefused(command: Command, verb: Verb): void {
  for (const { flags } of refusedOf(verb)) command.addOption(new Option(flags).hideHelp());
}

/** @throws NOT_IMPLEMENTED when something of it was asked for */
export function refuseFlags(command: Command, verb: Verb): void {
  for (const { flags, why, harmless } of refusedOf(verb)) {
    const option = new Option(flags);
    const name = option.attributeName();
    const value = command.getOptionValue(name) as string | boolean;
    if (command.getOptionValueSource(name) === 'cli' && harmless?.test(`${value}`) !== true)
      throw new MicaError('NOT_IMPLEMENTED', `${option.long}: ${why}`);
  }
}
