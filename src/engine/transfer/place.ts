import { MicaError } from '../../errors.ts';
import { parseReference, type Reference, withDefaults } from '../../oci/reference.ts';

/** Where an image is copied from or to, as skopeo spells it; a plain name is one of the store. */
export type Place =
  | { readonly kind: 'registry'; readonly reference: Reference }
  | { readonly kind: 'store'; readonly name: string }
  | {
      readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
      readonly path: string;
      /** A tag or a whole name; `''`: none is given. */
      readonly name: string;
    };

const TRANSPORT = /^(oci|oci-archive|docker-archive|docker|mica):(.*)$/s;

/**
 * `docker://REFERENCE` · `oci:DIRECTORY[:NAME]` · `oci-archive:FILE[:NAME]` ·
 * `docker-archive:FILE[:NAME]` · `mica:IMAGE` · `IMAGE`. A path ends at its first colon.
 *
 * @throws INVALID_ARGUMENT
 */
export function parsePlace(text: string): Place {
  const [, transport, rest = ''] = TRANSPORT.exec(text) ?? [];
  if (transport === undefined) return { kind: 'store', name: text };
  if (transport === 'mica') return { kind: 'store', name: rest };
  if (transport === 'docker') {
    // Without slashes it is an image of the store that has the name `docker`.
    if (!rest.startsWith('//')) return { kind: 'store', name: text };
    return { kind: 'registry', reference: withDefaults(parseReference(rest.slice(2))) };
  }
  // A drive letter of Windows is no path.
  const colon = rest.indexOf(':', /^[A-Za-z]:[\\/]/.test(rest) ? 2 : 0);
  const [path, name] = colon < 0 ? [rest, ''] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (path === '') throw new MicaError('INVALID_ARGUMENT', `${text} lacks a path`);
  return { kind: transport as 'oci' | 'oci-archive' | 'docker-archive', path, name };
}
