import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import { openEngine } from '../../../engine/open.ts';
import { sha256 } from '../../../oci/digest.ts';
import { select } from './ps.ts';

test('a container that is removed while they are listed is left out', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-ps-'));
  await using engine = await openEngine({ root: join(dir.path, 'store'), driver: 'tar' });
  // Makes the store.
  await engine.gc();
  const gone: ContainerInfo = {
    id: 'a'.repeat(64),
    name: 'gone',
    image: sha256('its image'),
    createdAt: new Date(),
    since: { seconds: 0, nanoseconds: 0 },
    settings: { imageName: 'app', labels: {}, options: {} },
    state: { status: 'created' },
    directory: join(dir.path, 'gone'),
  };
  const containers = { ...engine.containers, list: async () => [gone] };
  const options = { all: true, trunc: true, filter: [] };
  assert.deepEqual(await select({ ...engine, containers }, options), []);
});
