import { parseGlob } from '../../build/pattern/glob.ts';
import type { StoredImage } from '../../engine/stored-image.ts';
import { MicaError } from '../../errors.ts';
import { familiar, parseReference, repositoryOf } from '../../oci/reference.ts';
import { parseUntil } from './duration.ts';
import { labelFilter } from './label-filter.ts';
import { timeOf } from '../render/quantity.ts';

/** Whether an image passes. */
export type ImageFilter = (image: StoredImage) => boolean;

/** What finds the image that `before=` and `since=` name. */
export type FindImage = (name: string) => Promise<StoredImage>;

/** docker's `--filter KEY=VALUE`; those of one key are alternatives, different keys and all labels must hold. */
export async function parseFilters(
  filters: readonly string[],
  find: FindImage,
): Promise<ImageFilter> {
  const byKey = new Map<string, ImageFilter[]>();
  for (const text of filters) {
    const [key, value] = splitFilter(text);
    const filter = await filterOf(key, value, find);
    const group = key === 'label' ? text : key;
    byKey.set(group, [...(byKey.get(group) ?? []), filter]);
  }
  return (image) => [...byKey.values()].every((any) => any.some((passes) => passes(image)));
}

/** @throws INVALID_ARGUMENT unless it is `KEY=VALUE` */
export function splitFilter(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
  throw new MicaError('INVALID_ARGUMENT', `filter ${JSON.stringify(text)} is not KEY=VALUE`);
}

async function filterOf(key: string, value: string, find: FindImage): Promise<ImageFilter> {
  switch (key) {
    case 'reference':
      return referenceFilter(value);
    case 'dangling': {
      const wanted = truthOf(key, value);
      return ({ references }) => (references.length === 0) === wanted;
    }
    case 'label': {
      const has = labelFilter(value);
      return ({ config }) => has(config.config?.Labels);
    }
    case 'until': {
      const limit = parseUntil(value);
      return ({ config }) => timeOf(config.created) < limit;
    }
    case 'before':
    case 'since': {
      const { config } = await find(value);
      const limit = timeOf(config.created);
      return (image) => {
        const time = timeOf(image.config.created);
        return key === 'before' ? time < limit : time > limit;
      };
    }
    default:
      throw new MicaError(
        'INVALID_ARGUMENT',
        `filter ${JSON.stringify(key)} is none of reference, dangling, label, before, since, until`,
      );
  }
}

function truthOf(key: string, value: string): boolean {
  if (['true', '1'].includes(value)) return true;
  if (['false', '0'].includes(value)) return false;
  throw new MicaError('INVALID_ARGUMENT', `filter ${key}=${value}: neither true nor false`);
}

/**
 * A shell pattern, against the name with and without tag; without a pattern in it, docker's
 * completion applies (`docker.io/library/redis` finds `redis`).
 * @throws INVALID_ARGUMENT for a pattern that is malformed
 */
export function referenceFilter(pattern: string): ImageFilter {
  const names = new Set([pattern, familiarOf(pattern)]);
  const globs = [...names].map((name) => parseGlob(name));
  return ({ references }) =>
    references.some((text) => {
      const reference = parseReference(text);
      const { domain, path } = reference;
      const forms = [
        familiar(reference),
        familiar({ domain, path }),
        repositoryOf(reference),
        text,
      ];
      return globs.some((glob) => forms.some((form) => glob.matches(form)));
    });
}

function familiarOf(pattern: string): string {
  try {
    return familiar(parseReference(pattern));
  } catch {
    return pattern;
  }
}
