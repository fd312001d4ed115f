import { MicaError } from '../../errors.ts';
import type { Mount } from '../mount-data.ts';
import { windowsFiles } from './kernel32.ts';
import { layerService } from './vmcompute.ts';

const PARENTS = 'parentLayerPaths=';

/** The option that names the layers below, nearest first: containerd's. */
export const parentsOption = (paths: readonly string[]): string => PARENTS + JSON.stringify(paths);

/**
 * Shows a writable layer, whose directory is the source, in an existing empty directory.
 * @returns what undoes it
 * @throws NOT_IMPLEMENTED elsewhere than on Windows
 */
export function mountWindowsLayer({ source, options }: Mount, target: string): () => void {
  const [service, files] = [layerService(), windowsFiles()];
  const parents = parentsOf(options);
  const undo: (() => void)[] = [];
  const undoAll = (): void => {
    for (let last = undo.pop(); last !== undefined; last = undo.pop()) last();
  };
  try {
    service.activate(source);
    undo.push(() => service.deactivate(source));
    service.prepare(source, parents);
    undo.push(() => service.unprepare(source));
    files.mountVolume(service.mountPath(source), target);
    undo.push(() => files.unmountVolume(target));
    return undoAll;
  } catch (error) {
    undoAll();
    throw error;
  }
}

function parentsOf(options: readonly string[]): readonly string[] {
  const text = options.find((option) => option.startsWith(PARENTS))?.slice(PARENTS.length);
  const parents: unknown = text === undefined ? [] : JSON.parse(text);
  if (Array.isArray(parents) && parents.every((path) => typeof path === 'string')) return parents;
  throw new MicaError('INVALID_ARGUMENT', `${PARENTS}${text} is no list of directories`);
}
