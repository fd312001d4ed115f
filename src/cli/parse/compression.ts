import type { LayerCompression } from '../../engine/derive/derive.ts';
import { MicaError } from '../../errors.ts';

const MOST: Readonly<Record<string, number>> = { gzip: 9, zstd: 19, none: 0 };

/** `gzip`, `zstd:19` or `none`. @throws INVALID_ARGUMENT */
export function parseCompression(text: string): LayerCompression {
  const [, name = '', digits] = /^([a-z]+)(?::(\d{1,2}))?$/.exec(text) ?? [];
  const most = Object.hasOwn(MOST, name) ? MOST[name]! : -1;
  const level = digits === undefined ? undefined : Number(digits);
  if (most >= 0 && (level === undefined || (level >= 1 && level <= most)))
    return { compression: name as LayerCompression['compression'], level };
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(text.slice(0, 100))} is no compression; write gzip, zstd or none, with a level of gzip 1 to 9 or of zstd 1 to 19: zstd:12`,
  );
}
