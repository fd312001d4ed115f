import { StringDecoder } from 'node:string_decoder';

/** What has no end for so long is cut, whatever a command says. In characters. */
const MAX_LINE = 16 * 1024;

/** What a command says on one stream, cut into lines wherever its pieces were torn. */
export class OutputLines {
  readonly #end: RegExp;
  readonly #decoder = new StringDecoder();
  #rest = '';

  /** @param end - of a line */
  constructor(end: RegExp) {
    this.#end = end;
  }

  /** The lines that are complete now. */
  push(data: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.write(data)).split(this.#end);
    this.#rest = lines.pop()!;
    while (this.#rest.length > MAX_LINE) {
      lines.push(this.#rest.slice(0, MAX_LINE));
      this.#rest = this.#rest.slice(MAX_LINE);
    }
    return lines;
  }

  /** What had no end. */
  flush(): string[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? [] : [rest];
  }
}
