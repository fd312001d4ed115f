import type { MicaError } from '../../../errors.ts';
import { type Place, refused, shown, wrong } from '../failure.ts';
import { isHeredocWord } from '../heredoc.ts';
import type { Copy } from '../instruction.ts';
import type { Pieces } from './pieces.ts';
import { placeOf, wordsOf } from './operands.ts';

/** COPY and ADD. */
export function parseCopy(pieces: Pieces): Copy {
  const { flags, keyword, logical } = pieces;
  const place = placeOf(pieces);
  const isAdd = keyword === 'add';
  const words = wordsOf(pieces);
  const target = words.at(-1)!;
  const all = words.slice(0, -1);
  const sources = logical.heredocs.length === 0 ? all : all.filter((word) => !isHeredocWord(word));
  if (all.length === 0)
    throw wrong(place, `${keyword.toUpperCase()} wants a source and a destination`);
  if (isHeredocWord(target) && logical.heredocs.length > 0)
    throw wrong(place, `${shown(target)} is a heredoc; the destination comes last`);
  // What its variables say is not known yet.
  if (all.length > 1 && !target.includes('$') && !target.endsWith('/') && !isDot(target))
    throw notDirectory(place, all.length, target);
  if (isAdd && flags.boolean('keep-git-dir') !== undefined)
    throw refused(place, 'ADD does not read git repositories; clone it beside the Dockerfile');
  const from = isAdd ? undefined : flags.value('from');
  if (from?.includes('$'))
    throw wrong(
      place,
      `variables are not replaced in --from=${from}; name a stage by FROM, which replaces them`,
    );
  if (from !== undefined && logical.heredocs.length > 0)
    throw wrong(place, '--from does not go with a heredoc, which stands in the Dockerfile');
  return {
    kind: isAdd ? 'add' : 'copy',
    line: logical.line,
    source: logical.text,
    sources,
    heredocs: logical.heredocs,
    target,
    from,
    chown: flags.value('chown'),
    chmod: flags.value('chmod'),
    link: flags.boolean('link') ?? false,
    parents: !isAdd && (flags.boolean('parents') ?? false),
    exclude: flags.all('exclude'),
    checksum: isAdd ? flags.value('checksum') : undefined,
    unpack: isAdd ? flags.boolean('unpack') : undefined,
  };
}

/** Several sources have a destination that does not say that it is a directory. */
export const notDirectory = (place: Place, sources: number, target: string): MicaError =>
  wrong(
    place,
    `${sources} sources can be copied only into a directory: ${shown(target)} must end with a slash`,
  );

const isDot = (target: string): boolean => target === '.' || target.endsWith('/.');
