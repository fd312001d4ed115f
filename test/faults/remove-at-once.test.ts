import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { directoryOf } from '../../src/container/directory.ts';
import { remove } from '../../src/container/remove.ts';
import { resolveConfig } from '../../src/engine/config.ts';
import { containerStore } from '../../src/engine/containers/store.ts';
import { Context } from '../../src/engine/context.ts';
import { openEngine } from '../../src/engine/open.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';

test(
  'of those who remove a container at once all find it gone, and none fails',
  { skip: needs('root') },
  async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-remove-'));
    const options = { root: join(dir.path, 'store'), driver: 'vfs' };
    await using origin = await openOrigin();
    await origin.image('app', [tree({ a: file('1') })]);
    const reference = `${new URL(origin.url).host}/app:latest`;
    await using engine = await openEngine(options);
    await engine.pull(reference);
    const container = await engine.containers.create(reference, { options: {} });
    await using context = new Context(await resolveConfig(options));
    const store = await containerStore(context);
    // Each finds its directory there, and waits for its lock.
    await Promise.all([1, 2, 3].map(() => remove(store, container)));
    assert.deepEqual(await engine.containers.list(), []);
    assert.equal(existsSync(directoryOf(options.root, container.id).path), false);
  },
);
