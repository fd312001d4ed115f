import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Bytes } from '../io/bytes.ts';
import { END, header, member } from '../testing/hand-made-tar.ts';
import { readTar } from './read-tar.ts';

const ARCHIVE = Buffer.concat([
  member('a', 'A'.repeat(2000)),
  header({ name: 'd/', type: '5' }),
  member('empty'),
  member('b', 'B'),
  END,
]);

async function* pieces(bytes: Uint8Array, onClose = (): void => {}): Bytes {
  try {
    for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
  } finally {
    onClose();
  }
}

const textOf = async (content: Bytes): Promise<string> =>
  Buffer.concat(await Array.fromAsync(content)).toString();

test('members come one by one, each with its content', async () => {
  const seen: string[] = [];
  for await (const { name, content } of readTar(pieces(ARCHIVE)))
    seen.push(`${name}=${(await textOf(content)).slice(0, 3)}`);
  assert.deepEqual(seen, ['a=AAA', 'd/=', 'empty=', 'b=B']);
});

test('content that nobody reads, or not to its end, is skipped', async () => {
  const names: string[] = [];
  for await (const { name, content } of readTar(pieces(ARCHIVE))) {
    names.push(name);
    if (name === 'a') for await (const _ of content) break;
  }
  assert.deepEqual(names, ['a', 'd/', 'empty', 'b']);
});

test('content that was skipped cannot be read any more', async () => {
  const [first] = await Array.fromAsync(readTar(pieces(ARCHIVE)));
  await assert.rejects(textOf(first!.content), TypeError);
});

test('stopping early closes the archive', async () => {
  let isClosed = false;
  const archive = pieces(ARCHIVE, () => {
    isClosed = true;
  });
  for await (const _ of readTar(archive)) break;
  assert.ok(isClosed);
});

test('an archive that ends too early fails where it ends', async () => {
  const names: string[] = [];
  await assert.rejects(
    async () => {
      for await (const { name } of readTar(pieces(ARCHIVE.subarray(0, 1000)))) names.push(name);
    },
    { code: 'DATA_LOSS' },
  );
  assert.deepEqual(names, ['a']);
});

test('an abort ends reading with its reason', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  await assert.rejects(async () => {
    for await (const _ of readTar(pieces(ARCHIVE), stop)) stop.abort(reason);
  }, reason);
});
