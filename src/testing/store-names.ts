import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Driver } from '../snapshot/driver.ts';
import { mountedFrom } from '../snapshot/mounted.ts';
import { within } from './mounted.ts';

/** Registers a test for each name of a directory that a driver's layers may lie in. */
export function testStoreNames(
  open: (layers: string) => Driver,
  names: readonly string[],
  skip: string | false,
): void {
  for (const name of names)
    test(`a store may be in a directory named ${name.slice(0, 30)}`, { skip }, async () => {
      await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-names-'));
      const layers = join(dir.path, name, name);
      mkdirSync(layers, { recursive: true });
      mkdirSync(join(dir.path, 'work'));
      const driver = open(layers);
      for (const id of ['1', '2']) {
        await driver.create({ id, kind: 'committed', parents: [] });
        writeFileSync(join(layers, id, 'fs', id), '');
      }
      const active = { id: '3', kind: 'active', parents: ['2', '1'] } as const;
      await driver.create(active);
      await within(await driver.mounts!(active), join(dir.path, 'work'), (root) => {
        writeFileSync(join(root, '3'), '');
        assert.deepEqual(readdirSync(root).sort(), ['1', '2', '3']);
        // So that nobody commits or removes it meanwhile.
        assert.deepEqual(mountedFrom(join(layers, '3')), [root]);
        assert.deepEqual(mountedFrom(join(layers, '2')), []);
      });
      assert.deepEqual(readdirSync(join(layers, '3', 'fs')), ['3']);
    });
}
