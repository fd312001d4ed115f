import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { Leases } from './leases.ts';
import { openDatabase } from './open.ts';

const skip = needs('linux');
const scratch = (): ReturnType<typeof mkdtempDisposable> =>
  mkdtempDisposable(join(tmpdir(), 'mica-leases-'));

test('what a lease holds is held until it ends', { skip }, async () => {
  await using dir = await scratch();
  using db = await openDatabase(dir.path);
  const leases = new Leases(db);
  const others = new Leases(db);
  {
    using lease = leases.open('test');
    lease.hold('blob', ['sha256:a', 'sha256:b']);
    lease.hold('blob', ['sha256:b']);
    assert.deepEqual([...others.held('blob')].sort(), ['sha256:a', 'sha256:b']);
    assert.deepEqual([...others.held('layer')], []);
    assert.equal(others.isAlive(lease.id), true);
    others.sweep();
    assert.equal(others.held('blob').size, 2);
  }
  assert.deepEqual([...others.held('blob')], []);
  assert.deepEqual(readdirSync(join(dir.path, 'leases')), []);
});

test('the lease of a killed process is dead, and is swept away', { skip }, async () => {
  await using dir = await scratch();
  const program = `
    const { openDatabase } = await import(${JSON.stringify(import.meta.resolve('./open.ts'))});
    const { Leases } = await import(${JSON.stringify(import.meta.resolve('./leases.ts'))});
    const db = await openDatabase(${JSON.stringify(dir.path)});
    globalThis.lease = new Leases(db).open('doomed');
    lease.hold('blob', ['sha256:a']);
    process.stdout.write(lease.id);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [id] = (await once(child.stdout, 'data')) as [Buffer];
  using db = await openDatabase(dir.path);
  const leases = new Leases(db);
  assert.equal(leases.isAlive(String(id)), true);
  assert.deepEqual([...leases.held('blob')], ['sha256:a']);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(leases.isAlive(String(id)), false);
  assert.deepEqual([...leases.held('blob')], []);
  leases.sweep();
  assert.deepEqual(db.all('select * from lease'), []);
  assert.deepEqual(db.all('select * from held'), []);
  assert.deepEqual(readdirSync(join(dir.path, 'leases')), []);
});
