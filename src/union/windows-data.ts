import { existsSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';
import { foldName } from '../windows/fold.ts';
import { LayerFile as WindowsFile } from '../windows/layer-file.ts';
import { LAYER_FILES, placeOf } from '../windows/layer-files.ts';
import { linksOf } from '../windows/links.ts';
import { decode } from './byte-string.ts';
import { CHUNK, type LayerData, type LayerFile } from './content.ts';

/**
 * Files of a layer in the transport format of Windows, where each holds attributes and streams
 * beside its data. `file:stream` is the path of another stream than the file's own.
 */
export function windowsData(directory: string): LayerData {
  const transport = join(directory, LAYER_FILES.transport);
  return {
    async *read(file, start, end, options): Bytes {
      const colon = file.path.indexOf(':');
      const path = colon < 0 ? file.path : file.path.slice(0, colon);
      using opened = new WindowsFile(transport, placeOfFile(directory, path));
      const content = opened.content(colon < 0 ? undefined : file.path.slice(colon + 1));
      if (content.size !== file.size) throw differs(file);
      let at = start;
      for (const { logical, physical, length } of content.extents) {
        yield* zeros(Math.min(logical, end) - at);
        at = Math.max(at, Math.min(logical, end));
        for (const stop = Math.min(logical + length, end); at < stop;) {
          options?.signal?.throwIfAborted();
          const buffer = Buffer.allocUnsafeSlow(Math.min(stop - at, CHUNK));
          const count = readSync(opened.fd, buffer, 0, buffer.length, physical + at - logical);
          if (count === 0) throw differs(file);
          yield buffer.subarray(0, count);
          at += count;
        }
      }
      yield* zeros(end - at);
    },
  };
}

/**
 * A hard link to a file of a layer below has that file's content; under its own name below, which
 * the link makes part of this layer, nothing lies here.
 */
function placeOfFile(directory: string, path: string): string {
  if (existsSync(placeOf(join(directory, LAYER_FILES.transport), path))) return path;
  const wanted = foldName(path);
  const link = linksOf(directory).find(([, target]) => foldName(target) === wanted);
  return link?.[0] ?? path;
}

function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= CHUNK) yield Buffer.alloc(Math.min(left, CHUNK));
}

const differs = (file: LayerFile): MicaError =>
  new MicaError(
    'DATA_LOSS',
    `read /${decode(file.path)}: the layer's directory has another file than its index says; run mica check`,
  );
