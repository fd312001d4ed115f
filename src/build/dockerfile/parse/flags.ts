import { type Place, shown, wrong } from '../failure.ts';
import type { Flag } from '../words.ts';

/** The flags of an instruction; each is asked for, and none may be left over. */
export class Flags {
  #left: readonly Flag[];
  readonly #place: Place;
  readonly #keyword: string;

  constructor(flags: readonly Flag[], place: Place, keyword: string) {
    this.#left = flags;
    this.#place = place;
    this.#keyword = keyword.toUpperCase();
  }

  /** Of a flag that may be given once. */
  value(name: string): string | undefined {
    const [value, second] = this.all(name);
    if (second !== undefined) throw wrong(this.#place, `the flag --${name} is there twice`);
    return value;
  }

  /** Of a flag that may be repeated. */
  all(name: string): string[] {
    return this.#take(name).map(({ value }) => {
      if (value === undefined || value === '')
        throw wrong(this.#place, `the flag --${name} of ${this.#keyword} has no value`);
      return value;
    });
  }

  /** `--name`, `--name=true` or `--name=false`. */
  boolean(name: string): boolean | undefined {
    const [flag, second] = this.#take(name);
    if (second !== undefined) throw wrong(this.#place, `the flag --${name} is there twice`);
    if (flag === undefined) return undefined;
    const { value = 'true' } = flag;
    if (value !== 'true' && value !== 'false')
      throw wrong(this.#place, `the flag --${name} is ${shown(value)}, neither true nor false`);
    return value === 'true';
  }

  /** @throws for flags that nobody asked for */
  end(): void {
    const [flag] = this.#left;
    if (flag !== undefined) throw wrong(this.#place, `${this.#keyword} has no flag --${flag.name}`);
  }

  #take(name: string): Flag[] {
    const found = this.#left.filter((flag) => flag.name === name);
    if (found.length > 0) this.#left = this.#left.filter((flag) => flag.name !== name);
    return found;
  }
}
