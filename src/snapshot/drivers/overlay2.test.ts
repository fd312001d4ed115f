import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '../../errors.ts';
import { inUserNamespace } from '../../sys/userns.ts';
import { within } from '../../testing/mounted.ts';
import { needs } from '../../testing/need.ts';
import { overlay2 } from './overlay2.ts';

const skip = needs('overlay');
const open = (layers: string): ReturnType<typeof overlay2> =>
  overlay2(layers, { userxattr: inUserNamespace() });

test(
  '500 layers can be seen at once, and written on; more are refused with advice',
  { skip },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-deep-'));
    const driver = open(dir.path);
    const ids = Array.from({ length: 501 }, (_, n) => String(n));
    for (const id of ids) {
      await driver.create({ id, kind: 'committed', parents: [] });
      writeFileSync(join(dir.path, id, 'fs', `file-${id}`), '');
    }
    mkdirSync(join(dir.path, 'work'));
    const parents = ids.slice(0, 500);
    for (const kind of ['view', 'active'] as const) {
      const snapshot = { id: kind, kind, parents };
      await driver.create(snapshot);
      await within(await driver.mounts!(snapshot), join(dir.path, 'work'), (root) =>
        assert.equal(readdirSync(root).length, 500),
      );
    }
    await assert.rejects(driver.mounts!({ id: 'x', kind: 'view', parents: ids }), (error) =>
      isCode(error, 'NOT_IMPLEMENTED'),
    );
  },
);

for (const name of ['colon:comma,and space', 'back\\slash', 'ü', 'l'.repeat(200)])
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
    });
    assert.deepEqual(readdirSync(join(layers, '3', 'fs')), ['3']);
  });
