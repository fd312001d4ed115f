import { type Place, shown, wrong } from './failure.ts';
import type { From } from './instruction.ts';
import type { Logical } from './lines.ts';
import { splitFlags, splitPlain } from './words.ts';

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/;
/** What `COPY --from` and FROM understand otherwise. */
const RESERVED = new Set(['scratch', 'context']);

export function parseFrom(
  line: Logical,
  { file, escape }: { readonly file: string; readonly escape: string },
): { readonly from: From; readonly name: string | undefined } {
  const place = { file, line: line.line };
  const { flags, rest } = splitFlags(line.text.slice('from'.length), escape);
  for (const { name } of flags)
    if (name !== 'platform') throw wrong(place, `FROM has no flag --${name}`);
  if (flags.length > 1) throw wrong(place, 'the flag --platform is there twice');
  const [image, as, name, ...more] = splitPlain(rest);
  if (image === undefined || more.length > 0 || (as !== undefined && name === undefined))
    throw wrong(place, 'FROM wants IMAGE, or IMAGE AS NAME');
  if (as !== undefined && as.toLowerCase() !== 'as')
    throw wrong(place, `FROM IMAGE is followed by ${shown(as)} instead of AS`);
  const platform = flags[0]?.value;
  if (flags.length > 0 && !platform) throw wrong(place, 'the flag --platform has no value');
  return {
    from: { line: line.line, source: line.text, image, platform },
    name: name === undefined ? undefined : checkedName(name, place),
  };
}

function checkedName(written: string, place: Place): string {
  const name = written.toLowerCase();
  if (!STAGE_NAME.test(name) || RESERVED.has(name))
    throw wrong(
      place,
      `${shown(written)} cannot name a stage: a letter comes first, then letters, digits, "-", "_" and "."`,
    );
  return name;
}
