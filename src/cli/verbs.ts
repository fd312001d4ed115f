import type { Command } from 'commander';
import type { Cli } from './cli.ts';
import { REFUSED_VERBS } from './docker/refused-verbs.ts';
import { INTERNAL, OTHER, OWN, verb, WORDS } from './verb-table.ts';

/** Adds arguments, options and the action of one command. */
export type Define = (command: Command, cli: Cli) => void;

export interface Verb {
  /** As it is typed: `pull`, `image inspect`. */
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  /** It is another name of this one. */
  readonly same?: string | undefined;
  /** Not for people. */
  readonly hidden?: boolean;
  /** Loads the command's code; what is not asked for is not loaded. */
  readonly load: () => Promise<Define>;
}

/** Words that only hold other words. */
export const FAMILIES: ReadonlyMap<string, string> = new Map([
  ['image', 'Commands on images, as docker spells them'],
  ['container', 'Commands on containers, as docker spells them'],
  ['builder', 'Commands on what builds keep, as docker spells them'],
  ['system', 'Commands on the store, as docker spells them'],
]);

/** docker's longer names: the family, and its words; `ls=ps` where they differ. */
const SAME: Readonly<Record<string, string>> = {
  image: 'build history import load ls=images pull push rm=rmi save tag',
  container:
    'attach commit create exec export kill logs ls=ps pause rename restart rm run start stop top unpause wait',
  builder: 'build',
  system: 'df info prune',
};

/** What docker knows, too, and does not show. */
const HIDDEN: Readonly<Record<string, string>> = {
  image: 'list=images remove=rmi',
  container: 'list=ps ps remove=rm',
};

/** Every command there is. Completion and help come from it. */
export const VERBS: readonly Verb[] = [
  ...WORDS,
  ...INTERNAL.map(hide),
  ...longer(SAME),
  ...OWN,
  ...longer(HIDDEN).map(hide),
  ...Object.entries(REFUSED_VERBS).map(([name, why]) =>
    hide(
      verb(name, why, OTHER, async () => (await import('./commands/mica/refused.ts')).refused(why)),
    ),
  ),
];

function longer(families: Readonly<Record<string, string>>): Verb[] {
  return Object.entries(families).flatMap(([family, words]) =>
    words.split(' ').map((text) => {
      const [word, same = word] = text.split('=');
      return { ...WORDS.find(({ name }) => name === same)!, same, name: `${family} ${word}` };
    }),
  );
}

function hide(one: Verb): Verb {
  return { ...one, hidden: true };
}
