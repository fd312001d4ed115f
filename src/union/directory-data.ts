import { constants } from 'node:fs';
import { type FileHandle, open as openFile, realpath } from 'node:fs/promises';
import { MicaError } from '../errors.ts';
import { decode } from './byte-string.ts';
import { CHUNK, type LayerData, type LayerFile } from './content.ts';
import { readError } from './read-error.ts';

/**
 * Files of a layer that was extracted to a directory (overlay2, vfs).
 *
 * The path holds no symbolic links, and that is checked: an extracted tree that says otherwise was
 * tampered with. A sealed layer never changes and its store is ours alone, so nobody races with
 * the check.
 * @param hold - keeps the tree visible; called before the first read
 */
export function directoryData(directory: string, hold?: () => Promise<AsyncDisposable>): LayerData {
  let root: Promise<string> | undefined;
  let held: AsyncDisposable | undefined;
  const open = async (): Promise<string> => {
    held = await hold?.();
    return realpath(directory, { encoding: 'latin1' });
  };
  const rootOf = (): Promise<string> => (root ??= open());
  return {
    async close() {
      await root?.catch(() => undefined);
      root = undefined;
      await held?.[Symbol.asyncDispose]();
      held = undefined;
    },
    async *read(file, start, end, options) {
      await using handle = await openBeneath(await rootOf(), file);
      for (let at = start; at < end;) {
        options?.signal?.throwIfAborted();
        const buffer = Buffer.allocUnsafeSlow(Math.min(end - at, CHUNK));
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
        if (bytesRead === 0) throw differs(file, 'is shorter');
        yield buffer.subarray(0, bytesRead);
        at += bytesRead;
      }
    },
  };
}

/** @param root byte string */
async function openBeneath(root: string, file: LayerFile): Promise<FileHandle> {
  const path = `${root}/${file.path}`;
  const parent = path.slice(0, path.lastIndexOf('/'));
  try {
    const real = await realpath(Buffer.from(parent, 'latin1'), { encoding: 'latin1' });
    if (real !== parent) throw differs(file, 'lies behind a symbolic link');
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const handle = await openFile(Buffer.from(path, 'latin1'), flags);
    const stat = await handle.stat();
    if (stat.isFile() && stat.size === file.size) return handle;
    await handle.close();
  } catch (error) {
    throw readError(`/${decode(file.path)} of the extracted layer`, error);
  }
  throw differs(file, 'is another file');
}

const differs = (file: LayerFile, how: string): MicaError =>
  new MicaError(
    'DATA_LOSS',
    `read /${decode(file.path)}: in the extracted layer it ${how} than its index says; run mica check`,
  );
