import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTar } from '../../tar/read-tar.ts';
import { needs } from '../../testing/need.ts';
import { type CopySource, withCopySource } from './source.ts';

/** Names in the archive. */
async function namesOf(source: CopySource): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of readTar(source.archive())) names.push(name);
  return names;
}

for (const path of ['/directory', '/directory/.', '/directory/'])
  test(
    `a link that a process puts in the place of ${path} while it is copied leads nowhere`,
    { skip: needs('linux') },
    async () => {
      await using top = await mkdtempDisposable(join(tmpdir(), 'mica-source-'));
      const [tree, outside] = [join(top.path, 'tree'), join(top.path, 'outside')];
      mkdirSync(join(tree, 'directory'), { recursive: true });
      mkdirSync(outside);
      writeFileSync(join(tree, 'directory/own'), '');
      writeFileSync(join(outside, 'secret'), '');
      const names = withCopySource(tree, path, {}, async (source) => {
        renameSync(join(tree, 'directory'), join(tree, 'aside'));
        symlinkSync(outside, join(tree, 'directory'));
        return await namesOf(source);
      });
      const told = await names.catch((error: unknown) => [String(error)]);
      assert.equal(told.filter((name) => name.includes('secret')).length, 0, told.join());
    },
  );

for (const [path, name, expected] of [
  ['/directory', 'directory', ['directory/', 'directory/own']],
  ['/directory/.', '', ['./', 'own']],
  ['/link/', 'link', ['directory/', 'directory/own']],
  ['/link', 'link', ['link']],
  ['/directory/own', 'own', ['own']],
] as const)
  test(`of ${path} the archive has what cp would copy`, { skip: needs('linux') }, async () => {
    await using top = await mkdtempDisposable(join(tmpdir(), 'mica-source-'));
    mkdirSync(join(top.path, 'directory'));
    writeFileSync(join(top.path, 'directory/own'), '');
    symlinkSync('directory', join(top.path, 'link'));
    await withCopySource(top.path, path, {}, async (source) => {
      assert.equal(source.name, name);
      assert.deepEqual(await namesOf(source), expected);
    });
  });
