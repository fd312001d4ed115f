import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { Node, S_IFDIR, S_IFREG } from '../../../erofs/node.ts';
import { indexBytes } from '../../../erofs/write.ts';
import { MicaError } from '../../../errors.ts';
import { sha256 } from '../../../oci/digest.ts';
import { errnoOf } from '../../../sys/errno.ts';
import { performMounts } from '../../../sys/mount.ts';
import { erofs } from '../erofs.ts';

const CONTENT = 'readable';
const TAR_SIZE = 1024;

/**
 * Mounts a layer of one file, and a writable snapshot on it, as the driver will.
 * @param scratch - an empty directory of the store's file system
 * @returns why it does not work, for people
 */
export async function erofsRefusal(scratch: string): Promise<string | undefined> {
  const [layers, target] = [join(scratch, 'layers'), join(scratch, 'target')];
  for (const path of [layers, target, join(layers, '1')]) mkdirSync(path);
  const index = tinyIndex();
  writeFileSync(join(layers, '1', 'index.erofs'), index);
  writeFileSync(join(layers, '1', 'layer.tar'), CONTENT.padEnd(TAR_SIZE, '\0'));
  await using driver = erofs(layers, { pack: refusePacking, digestOf: () => sha256(index) });
  const snapshot = { id: '2', kind: 'active', parents: ['1'] } as const;
  try {
    await driver.create(snapshot);
    await using mounted = await performMounts(await driver.mounts!(snapshot), target);
    const read = readFileSync(join(mounted.target, 'file'), 'utf8');
    writeFileSync(join(mounted.target, 'written'), read);
    return read === CONTENT ? undefined : 'the kernel reads something else than was written';
  } catch (error) {
    return explain(error);
  } finally {
    await driver.release!(() => []);
  }
}

function tinyIndex(): Buffer {
  const [root, file] = [new Node(S_IFDIR | 0o755), new Node(S_IFREG | 0o644)];
  file.size = CONTENT.length;
  file.extents = [{ logical: 0, device: 1, physical: 0, length: CONTENT.length }];
  root.children!.set('file', file);
  return indexBytes(root, { devices: [{ tag: '', size: TAR_SIZE }] });
}

const refusePacking = async (): Promise<never> => {
  throw new MicaError('INTERNAL', 'a trial is never packed');
};

/** Blocks as small as those of a tar. */
const FIRST_KERNEL = [6, 4] as const;

function explain(error: unknown): string {
  const said = error instanceof Error ? error.message : String(error);
  if (errnoOf(error) === 'ENODEV') return `the kernel has no EROFS or no overlayfs (${said})`;
  const [major = 0, minor = 0] = release().split('.').map(Number);
  const isOld = major < FIRST_KERNEL[0] || (major === FIRST_KERNEL[0] && minor < FIRST_KERNEL[1]);
  return isOld ? `it needs Linux ${FIRST_KERNEL.join('.')}, this is ${release()} (${said})` : said;
}
