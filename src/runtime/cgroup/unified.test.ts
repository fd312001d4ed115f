import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { readUnified } from './unified.ts';

const MACHINE = { 'cgroup.controllers': 'cpu io memory pids\n', 'cgroup.subtree_control': '\n' };
const GROUP = { ...MACHINE, 'cgroup.type': 'domain\n' };

for (const [what, files, controllers, swapLimit] of [
  [
    'of the machine gives all it has, though processes are in it',
    { ...MACHINE, 'cgroup.procs': '1\n2\n' },
    ['cpu', 'io', 'memory', 'pids'],
    true,
  ],
  [
    'that is an empty group gives all it has',
    { ...GROUP, 'cgroup.procs': '' },
    ['cpu', 'io', 'memory', 'pids'],
    true,
  ],
  [
    'that is a group with processes gives the number of processes alone',
    { ...GROUP, 'cgroup.procs': '1\n' },
    ['pids'],
    true,
  ],
  ['that has no controllers gives none', {}, [], true],
  [
    'whose groups limit swap does so',
    { ...MACHINE, 'a/memory.max': 'max', 'a/memory.swap.max': 'max' },
    ['cpu', 'io', 'memory', 'pids'],
    true,
  ],
  [
    'whose groups do not limit swap does not',
    { ...MACHINE, 'a/memory.max': 'max' },
    ['cpu', 'io', 'memory', 'pids'],
    false,
  ],
] as const)
  test(`a top ${what}`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-unified-'));
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(dir.path, name)), { recursive: true });
      writeFileSync(join(dir.path, name), content);
    }
    const found = readUnified(dir.path);
    assert.deepEqual([...found.controllers], controllers);
    assert.equal(found.swapLimit, swapLimit);
  });
