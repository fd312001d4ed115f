/** One way in that a 401 offers. */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly parameters: ReadonlyMap<string, string>;
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const SCHEME = new RegExp(`[,\\s]*(${TOKEN})`, 'y');
const PARAMETER = new RegExp(
  `[,\\s]*(${TOKEN})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`,
  'y',
);
const TOKEN68 = /\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y;
const MAX_CHALLENGES = 20;

/**
 * Reads `WWW-Authenticate`, which may hold several challenges, their parameters separated by the
 * same commas as they are. What cannot be read ends the list.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-www-authenticate
 */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (challenges.length < MAX_CHALLENGES) {
    const scheme = next(SCHEME)?.[1]?.toLowerCase();
    if (scheme === undefined) break;
    const parameters = new Map<string, string>();
    for (let match = next(PARAMETER); match; match = next(PARAMETER)) {
      const [, name = '', quoted, plain] = match;
      const key = name.toLowerCase();
      if (!parameters.has(key))
        parameters.set(key, quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '');
    }
    if (parameters.size === 0) next(TOKEN68);
    challenges.push({ scheme, parameters });
  }
  return challenges;
}
