import {
  type ArchiveFormat,
  type ArchiveWriter,
  writeArchive,
} from '../../content/archive/write-archive.ts';
import type { Abortable } from '../../io/bytes.ts';
import { openWholeFile } from '../../io/whole-file.ts';

/** A file, or somebody who takes bytes. */
export type ArchiveTarget = string | ((chunk: Uint8Array) => Promise<void>);

/** An archive being written. A file that is there already stays as it was until the new one is whole. */
export interface OpenArchiveTarget extends AsyncDisposable {
  readonly archive: ArchiveWriter;
  /** Ends the archive; only then is it at its place. */
  finish(options?: Abortable): Promise<void>;
}

export async function openArchiveTarget(
  to: ArchiveTarget,
  format: ArchiveFormat,
): Promise<OpenArchiveTarget> {
  if (typeof to !== 'string') {
    const archive = writeArchive(to, format);
    return {
      archive,
      finish: (options) => archive.finish(options),
      [Symbol.asyncDispose]: async () => {},
    };
  }
  const file = await openWholeFile(to);
  const archive = writeArchive((chunk) => file.write(chunk), format);
  return {
    archive,
    async finish(options) {
      await archive.finish(options);
      await file.finish();
    },
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
