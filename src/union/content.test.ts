import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdir,
  mkdtempDisposable,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Node, S_IFDIR, S_IFREG, type Extent } from '../erofs/node.ts';
import { indexBytes } from '../erofs/write.ts';
import type { Bytes } from '../io/bytes.ts';
import { needs } from '../testing/need.ts';
import { packLayer } from '../testing/pack.ts';
import * as t from '../testing/tree.ts';
import { directoryData } from './directory-data.ts';
import { tarData, tarFile, tarStream, type TarDevice } from './tar-data.ts';
import type { UnionTree } from './tree.ts';
import { openUnion } from './union.ts';

const FILES: t.Items = { 'a/b/file': t.file('content'), 'a/big': t.file('x'.repeat(600_000)) };

/** An extracted layer with {@link FILES} below `path`, and its union. */
async function extracted(path: string): Promise<UnionTree> {
  await mkdir(join(path, 'a/b'), { recursive: true });
  await writeFile(join(path, 'a/b/file'), 'content');
  await writeFile(join(path, 'a/big'), 'x'.repeat(600_000));
  const { index } = packLayer(t.tree(FILES));
  return openUnion([{ index, data: directoryData(path) }]);
}

test('an extracted layer gives its files, whole and in part', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'union-'));
  const tree = await extracted(dir.path);
  assert.equal((await tree.readFile('a/b/file')).toString(), 'content');
  assert.equal((await tree.readFile('a/big')).length, 600_000);
  assert.equal(
    (await read(tree.createReadStream('a/b/file', { start: 2, end: 3 }))).toString(),
    'nt',
  );
});

test('an extracted file that is not what the index says is an error, and nothing else is read', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'union-'));
  const tree = await extracted(dir.path);
  const fails = (): Promise<void> =>
    assert.rejects(tree.readFile('a/b/file'), { code: 'DATA_LOSS' });
  const file = join(dir.path, 'a/b/file');
  await truncate(file, 3);
  await fails();
  await rm(file);
  await fails();
  await symlink('../big', file);
  await fails();
});

test('a directory of an extracted layer that became a link is not followed', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'union-'));
  const tree = await extracted(dir.path);
  await rename(join(dir.path, 'a/b'), join(dir.path, 'elsewhere'));
  await symlink('../elsewhere', join(dir.path, 'a/b'));
  await assert.rejects(tree.readFile('a/b/file'), { code: 'DATA_LOSS' });
});

test('a fifo in place of an extracted file does not block', { skip: needs('linux') }, async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'union-'));
  const tree = await extracted(dir.path);
  const file = join(dir.path, 'a/b/file');
  await rm(file);
  execFileSync('mkfifo', [file]);
  await assert.rejects(tree.readFile('a/b/file'), { code: 'DATA_LOSS' });
});

const BLOCK = 512;

/** A union of one layer with the file `f`, whose content lies as the extents say. */
function pieces(extents: Extent[], size: number, own: TarDevice, other?: TarDevice): UnionTree {
  const root = new Node(S_IFDIR | 0o755);
  const file = new Node(S_IFREG | 0o644);
  root.children!.set('f', file);
  Object.assign(file, { size, extents });
  const devices = [
    { tag: 'aa'.repeat(32), size: 1 << 20 },
    { tag: 'bb'.repeat(32), size: 1 << 20 },
  ];
  const find = (tag: string): TarDevice | undefined => (tag.startsWith('bb') ? other : undefined);
  return openUnion([{ index: indexBytes(root, { devices }), data: tarData(own, find) }]);
}

const inMemory = (content: string): TarDevice =>
  tarStream('test', async function* () {
    for (let at = 0; at < content.length; at += 100) yield Buffer.from(content.slice(at, at + 100));
  });

async function read(bytes: Bytes): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}

test('a file may lie in several tars, found by the diffID in the index', async () => {
  const extents = [
    { logical: 0, device: 1, physical: BLOCK, length: BLOCK },
    { logical: BLOCK, device: 2, physical: 0, length: 100 },
  ];
  const [own, other] = [inMemory('o'.repeat(2 * BLOCK)), inMemory('p'.repeat(BLOCK))];
  const content = await pieces(extents, BLOCK + 100, own, other).readFile('f');
  assert.equal(content.toString(), 'o'.repeat(BLOCK) + 'p'.repeat(100));
  await assert.rejects(pieces(extents, BLOCK + 100, own).readFile('f'), { code: 'DATA_LOSS' });
});

test('a tar that ends too early is an error, from a file and from a stream', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'union-'));
  const path = join(dir.path, 'layer.tar');
  await writeFile(path, 'x'.repeat(700));
  const extents = [{ logical: 0, device: 1, physical: BLOCK, length: BLOCK }];
  for (const device of [tarFile(path), inMemory('x'.repeat(700))])
    await assert.rejects(pieces(extents, BLOCK, device).readFile('f'), { code: 'DATA_LOSS' });
});

test('a kept tar that is gone is a coded error, and no unhandled one', async () => {
  const extents = [{ logical: 0, device: 1, physical: 0, length: BLOCK }];
  const tree = pieces(extents, BLOCK, tarFile('/no/such/layer.tar'));
  await assert.rejects(tree.readFile('f'), { code: 'DATA_LOSS' });
});

test('content that lies backwards in a stream is refused instead of inflating again and again', async () => {
  const extents = [
    { logical: 0, device: 1, physical: 4 * BLOCK, length: BLOCK },
    { logical: BLOCK, device: 1, physical: 0, length: BLOCK },
  ];
  const tree = pieces(extents, 2 * BLOCK, inMemory('x'.repeat(8 * BLOCK)));
  await assert.rejects(tree.readFile('f'), { code: 'DATA_LOSS' });
});

test('a reader that stops early closes the stream behind it', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const device = tarStream('test', async function* () {
    try {
      for (;;) yield Buffer.alloc(1000);
    } finally {
      resolve();
    }
  });
  const extents = [{ logical: 0, device: 1, physical: 0, length: 1 << 19 }];
  for await (const _ of pieces(extents, 1 << 19, device).createReadStream('f')) break;
  await promise;
});
