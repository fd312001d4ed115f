import { statfsSync } from 'node:fs';
import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat } from '../../../sys/at.ts';
import { toBytes } from '../../../sys/byte-string.ts';
import { findDevice } from '../../../sys/device-mapper.ts';
import { syncfs } from '../../../sys/file.ts';
import { readMountinfo } from '../../../sys/mountinfo.ts';
import { deviceName } from './session.ts';
import type { Holding, State } from './state.ts';

/** Where the volume of a layer is mounted, in this mount namespace; `undefined`: nowhere. */
export function mountPointOf({ tag, layers }: State, id: string): string | undefined {
  const volume = layers[id];
  const device = volume && findDevice(deviceName(tag, volume));
  if (device === undefined) return undefined;
  const number = `${device.major}:${device.minor}`;
  return readMountinfo().find((mount) => mount.device === number)?.target;
}

/**
 * Writes what was written to layers to their devices, where they are mounted.
 * @returns those of which something is lost: nobody else would be told, once they are unmounted
 */
export async function flushTrees(state: State, ids: Iterable<string>): Promise<string[]> {
  const lost: string[] = [];
  for (const id of ids) {
    const path = state.layers[id]?.end === undefined ? mountPointOf(state, id) : undefined;
    if (path === undefined) continue;
    const fd = openat(AT_FDCWD, toBytes(path), O_RDONLY | O_DIRECTORY);
    try {
      await syncfs(fd, path);
    } catch {
      lost.push(id);
    } finally {
      close(fd);
    }
  }
  return lost;
}

/** What the mounted volume of a layer holds, by what its file system says. */
export function mountedHolding(path: string, sectors: number): Holding {
  const { bfree, bsize, files, ffree } = statfsSync(path);
  return { size: sectors * 512 - bfree * bsize, inodes: files - ffree };
}
