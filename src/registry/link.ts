/**
 * What `<target>; rel="next"` names, one of several that commas separate.
 * @see https://www.rfc-editor.org/rfc/rfc8288#section-3
 */
export function nextTarget(links: string): string | undefined {
  for (let at = links.indexOf('<'); at >= 0;) {
    const end = links.indexOf('>', at);
    if (end < 0) return undefined;
    const comma = links.indexOf(',', end);
    const parameters = links.slice(end + 1, comma < 0 ? undefined : comma);
    if (/^\s*;/.test(parameters) && /\brel="?next"?/i.test(parameters))
      return links.slice(at + 1, end);
    at = comma < 0 ? -1 : links.indexOf('<', comma);
  }
  return undefined;
}
