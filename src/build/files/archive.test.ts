import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { dir, file, tarOf, tree } from '../../testing/tree.ts';
import { openArchive } from './archive.ts';

/** An archive of one empty file, or of a directory where the name ends like one. */
const archiveOf = (name: string): Buffer =>
  tarOf(tree([[name, name.endsWith('/') ? dir() : file()]], { parents: 'omit' }));

async function namesIn(archive: Buffer): Promise<string[]> {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'mica-archive-'));
  await using opened = await openArchive(
    (async function* () {
      yield archive;
    })(),
    join(directory.path, 'archive.tar'),
    'the archive',
  );
  return [...opened.walk()].map(({ path }) => path);
}

for (const name of ['a', 'd/a', 'a///', '///a', 'd//.wh/a'])
  test(`a member ${name} is there`, async () => {
    const names = await namesIn(archiveOf(name));
    assert.ok(names.some((one) => one.endsWith('/a')));
  });

for (const name of ['.wh.a', 'd/.wh.a', '.wh.d///'])
  test(`a member ${name}, which would be a deletion in a layer, is refused`, async () => {
    await assert.rejects(namesIn(archiveOf(name)), {
      code: 'INVALID_ARGUMENT',
    });
  });

test('a member with very many slashes is read at once', async () => {
  // Written over another name: that the writer can make such a one is not what is asked.
  const count = 500_000;
  const archive = archiveOf(`${'b'.repeat(count)}a`);
  const name = archive.indexOf('path=b') + 'path='.length;
  archive.fill('/', name, name + count);
  const before = process.threadCpuUsage();
  assert.deepEqual(await namesIn(archive), ['/', '/a']);
  // Of the processor: a pattern that begins anew at each takes a minute.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 10_000_000, `${user} microseconds`);
});
