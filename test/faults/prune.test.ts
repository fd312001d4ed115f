import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { newImage } from '../support/attempt.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

/** Gives the only image of a store a name, in a transaction that takes its time. */
const NAMING = (root: string): string => `
  const { DatabaseSync } = await import('node:sqlite');
  const db = new DatabaseSync(${JSON.stringify(join(root, 'mica.db'))});
  db.exec(\`begin immediate;
    insert into reference select 'docker.io/library/kept:latest', image, digest,
      json_object('mediaType', media_type, 'digest', digest, 'size', length(document)), 0 from manifest\`);
  console.log('begun');
  setTimeout(() => db.exec('commit'), 500);`;

test('an image that gets a name while a prune waits for its turn stays', async () => {
  await using there = await openOrigin();
  const { name, image } = await newImage(there);
  await using engine = await openTemporaryEngine({ driver: 'tar' });
  // By its digest, and so without a name.
  await engine.pull(`${new URL(there.url).host}/${name}@${image.descriptor.digest}`);
  await engine.driver();
  const naming = spawn(process.execPath, ['--input-type=module', '-e', NAMING(engine.root)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(naming, 'exit');
  try {
    await once(naming.stdout, 'data');
    assert.deepEqual((await engine.prune()).images, []);
  } finally {
    assert.deepEqual(await ended, [0, null]);
  }
  const [found] = await engine.images();
  assert.deepEqual(found?.references, ['docker.io/library/kept:latest']);
  assert.deepEqual((await engine.prune()).images, []);
  assert.deepEqual((await engine.check()).problems, []);
});
