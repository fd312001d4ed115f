import { MicaError } from '../../errors.ts';

/** An image, or the image of its first `layers` layers. */
export interface ImageSpec {
  readonly image: string;
  /** `undefined`: all. */
  readonly layers: number | undefined;
}

export interface ImagePath extends ImageSpec {
  /** `/`-rooted. */
  readonly path: string;
}

/** `IMAGE` or `IMAGE@3`: no digest looks like that. */
export function parseImageSpec(text: string): ImageSpec {
  const found = /^(.+)@(\d{1,4})$/s.exec(text);
  if (!found) return { image: text, layers: undefined };
  const layers = Number(found[2]);
  if (layers === 0)
    throw new MicaError('INVALID_ARGUMENT', `${text}: layers are counted from 1, the base`);
  return { image: found[1]!, layers };
}

/**
 * `IMAGE:/path`: where `:/` stands, the image ends, since no reference contains that.
 * `undefined`: there is none.
 */
export function splitImagePath(text: string): ImagePath | undefined {
  const at = text.indexOf(':/');
  if (at <= 0) return undefined;
  return { ...parseImageSpec(text.slice(0, at)), path: text.slice(at + 1) };
}

/**
 * What `IMAGE`, `IMAGE:/path` or `IMAGE path…` mean.
 * @param paths the words after the first; none, and no `:/` either: `fallback`
 * @throws INVALID_ARGUMENT when there is no path and no `fallback`
 */
export function parseImagePaths(
  first: string,
  paths: readonly string[],
  fallback?: string,
): ImagePath[] {
  const split = splitImagePath(first);
  if (split) return [split, ...paths.map((text) => splitImagePath(text) ?? needsImage(text))];
  const spec = parseImageSpec(first);
  if (paths.length > 0) return paths.map((path) => splitImagePath(path) ?? { ...spec, path });
  if (fallback !== undefined) return [{ ...spec, path: fallback }];
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(first)} names no path in an image; write IMAGE:/path or IMAGE path`,
  );
}

function needsImage(text: string): never {
  throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(text)} is not IMAGE:/path`);
}
