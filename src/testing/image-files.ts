import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver, Snapshot } from '../snapshot/driver.ts';
import { Directories } from '../snapshot/drivers/directories.ts';
import { shownBy, TreeMounts } from '../snapshot/drivers/tree-mounts.ts';
import { attachLoop, type LoopDevice } from '../sys/loop.ts';
import type { SharedMount } from '../sys/mount-data.ts';
import { readMountinfo } from '../sys/mountinfo.ts';

/** Of a tree, in bytes. */
const SIZE = 4 << 20;

/**
 * A driver for tests whose trees are file systems of their own, with nothing that most machines lack:
 * an ext4 in a file for each, copied from the parent's.
 */
export function imageFiles(layers: string): Driver {
  const dirs = new Directories(layers);
  const trees = new TreeMounts(layers);
  const image = (id: string): string => join(dirs.of(id), 'tree.img');
  /** Of files: held, or one that only a copy of a mount keeps in another namespace would go with that. */
  const devices = new Map<string, LoopDevice>();

  const attach = (path: string): string => {
    const device = devices.get(path) ?? attachLoop(path, { writable: true });
    devices.set(path, device);
    return device.path;
  };
  /** The device goes with its last mount. */
  const detach = (path: string): void => {
    devices.get(path)?.[Symbol.dispose]();
    devices.delete(path);
  };

  const tree = async (snapshot: Snapshot, access: 'ro' | 'rw'): Promise<SharedMount> => {
    const id = shownBy(snapshot);
    const options = snapshot.kind === 'active' || access === 'rw' ? [] : ['ro'];
    const uuid = uuidOf(image(id)).replaceAll('-', '');
    return { type: 'ext4', source: attach(image(id)), options, target: trees.point(id), uuid };
  };
  const drop = async (id: string): Promise<void> => {
    const point = trees.point(id);
    // A copy of the mount in another namespace would keep what is not written yet.
    if (readMountinfo().some(({ target }) => target === point)) execFileSync('sync', ['-f', point]);
    await trees.drop(id);
    detach(image(id));
  };

  return {
    name: 'image-files',
    form: 'direct',

    async create(snapshot) {
      const { id, parents } = snapshot;
      if (shownBy(snapshot) !== id) return;
      trees.make(id);
      if (existsSync(image(id))) return;
      if (parents[0] === undefined) format(image(id));
      else copy(image(parents[0]), image(id));
    },

    seal: async ({ id }) => {
      await drop(id);
      return undefined;
    },
    filled: ({ id }) => drop(id),

    async remove({ id }) {
      await drop(id);
      dirs.remove(id);
    },
    purge: (options) => dirs.purge(options),

    tree,
    mounts: async (snapshot) => [await tree(snapshot, 'ro'), trees.bind(snapshot)],
    async release(mountable) {
      await trees.release(mountable);
      const needed = new Set(mountable().map(shownBy));
      for (const id of existsSync(layers) ? readdirSync(layers) : [])
        if (!needed.has(id)) detach(image(id));
    },
    usage: ({ id }, options) => dirs.usage(id, options),
    inspect: async ({ id }) => ({ Image: image(id) }),
    async [Symbol.asyncDispose]() {
      for (const path of devices.keys()) detach(path);
    },
  };
}

function format(path: string): void {
  writeFileSync(path, '');
  truncateSync(path, SIZE);
  execFileSync('mkfs.ext4', [
    '-q',
    '-F',
    '-O',
    '^has_journal,^metadata_csum',
    '-U',
    uuidOf(path),
    path,
  ]);
  execFileSync('debugfs', ['-w', '-R', 'rmdir lost+found', path], { stdio: 'ignore' });
}

function copy(from: string, to: string): void {
  copyFileSync(from, to);
  execFileSync('tune2fs', ['-f', '-U', uuidOf(to), to], { stdio: 'ignore' });
}

/** Of the file system in this file. */
function uuidOf(path: string): string {
  const hex = createHash('sha256').update(path).digest('hex');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5');
}
