/** Mica's own cold pulls: from an empty store to a verified tree that is mounted, where the driver mounts. */
import { join } from 'node:path';
import { type Contender, shell } from './harness.ts';

const MICA = `${process.execPath} ${join(import.meta.dirname, '..', '..', 'dist', 'mica.js')}`;
/** Behind a driver's name: without ISA-L, by hiding its library. */
const ZLIB = '+zlib';

const command = (how: string, stores: string): string =>
  `${MICA} --root ${stores}/mica-${how} --storage-driver ${how.replace(ZLIB, '')}`;

/** Unmounts and removes the store of {@link micaPull}. */
export function emptyStore(how: string, stores: string): string {
  const root = `${stores}/mica-${how}`;
  return `[ ! -e ${root}/mica.db ] || ${command(how, stores)} umount --all; rm -rf ${root}`;
}

/**
 * @param how a driver, or `driver+zlib`
 * @param stores a directory on the file system that every contender uses
 */
export function micaPull(how: string, stores: string, reference: string): Contender {
  const [mica, target] = [command(how, stores), `${stores}/mica-${how}-mnt`];
  const mounts = !how.startsWith('tar');
  const pull = `${mica} ${mounts ? 'mount' : 'pull'} -q ${reference}${mounts ? ` ${target}` : ''}`;
  const hidden = how.endsWith(ZLIB);
  if (hidden) shell(withoutIsal(`${mica} info | grep '^Gzip by: *zlib'`));
  return {
    name: `mica pull (${how})`,
    prepare: `${emptyStore(how, stores)}; mkdir -p ${target}`,
    command: hidden ? withoutIsal(pull) : pull,
    flush: `sync -f ${stores}`,
  };
}

/** An empty file in the library's place, in a mount namespace that ends with the command. */
function withoutIsal(script: string): string {
  const libraries = shell("ldconfig -p | sed -n 's/.*libisal.so.2 .*=> //p'").trim().split('\n');
  const hide = libraries.filter(Boolean).map((path) => `mount --bind /dev/null ${path} && `);
  return `unshare -m --propagation private bash -c "${hide.join('')}${script}"`;
}
