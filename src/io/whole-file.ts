import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromNode } from '../sys/errno.ts';
import { syncDirectory } from '../sys/sync.ts';

/**
 * A file being written, which appears at its place when it is whole and on the disk: what is there already
 * stays as it was until then, and for good if {@link finish} is never called. A pipe or a device gets the bytes themselves.
 */
export interface WholeFile extends AsyncDisposable {
  write(chunk: Uint8Array): Promise<void>;
  /** Only after this is it at its place, where a loss of power leaves it. */
  finish(): Promise<void>;
}

export async function openWholeFile(to: string): Promise<WholeFile> {
  try {
    const isPlain = (await stat(to).catch(() => undefined))?.isFile() ?? true;
    const path = isPlain ? `${to}.${randomBytes(6).toString('hex')}.new` : to;
    return wholeFile(await open(path, isPlain ? 'wx' : 'w', 0o644), path, to);
  } catch (error) {
    throw fromNode(error);
  }
}

function wholeFile(file: FileHandle, path: string, to: string): WholeFile {
  let isWhole = path === to;
  return {
    async write(chunk) {
      try {
        await file.writeFile(chunk);
      } catch (error) {
        throw fromNode(error);
      }
    },
    async finish() {
      try {
        if (!isWhole) await file.sync();
        await file.close();
        if (isWhole) return;
        await rename(path, to);
        isWhole = true;
        syncDirectory(dirname(to));
      } catch (error) {
        throw fromNode(error);
      }
    },
    async [Symbol.asyncDispose]() {
      await file.close();
      if (!isWhole) await rm(path, { force: true });
    },
  };
}
