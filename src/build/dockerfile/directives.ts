import { type Place, refused, shown, wrong } from './failure.ts';

/** What the comments at the top of a Dockerfile say about the rest. */
export interface Directives {
  /** The character that continues lines and takes away meanings. */
  readonly escape: '\\' | '`';
  /** A frontend that the file was written for. Mica reads every Dockerfile itself. */
  readonly syntax: string | undefined;
  /** Rules for linters. */
  readonly check: string | undefined;
}

const DIRECTIVE = /^#[ \t]*([A-Za-z][A-Za-z0-9]*)[ \t]*=[ \t]*(\S.*)$/;
const KNOWN = new Set(['syntax', 'escape', 'check']);
/** Frontends whose language this is. */
const OURS = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/;

/** Directives end at the first line that is none; what comes later is a comment. */
export function parseDirectives(lines: readonly string[], file: string): Directives {
  const found = new Map<string, string>();
  for (const [at, text] of lines.entries()) {
    const [, name = '', value = ''] = DIRECTIVE.exec(text.trim()) ?? [];
    const key = name.toLowerCase();
    if (!KNOWN.has(key)) break;
    const place = { file, line: at + 1 };
    if (found.has(key)) throw wrong(place, `the directive ${key} is there twice`);
    found.set(key, checked(key, value.trim(), place));
  }
  return {
    escape: (found.get('escape') ?? '\\') as Directives['escape'],
    syntax: found.get('syntax'),
    check: found.get('check'),
  };
}

function checked(key: string, value: string, place: Place): string {
  if (key === 'escape' && value !== '\\' && value !== '`')
    throw wrong(place, `the escape character is ${shown(value)}, not \\ or \``);
  if (key === 'syntax' && !OURS.test(value))
    throw refused(
      place,
      `the syntax ${shown(value)} is another program's; only docker/dockerfile is understood`,
    );
  return value;
}
