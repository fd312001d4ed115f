import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { edited } from '../../testing/edited-stack.ts';
import { needs } from '../../testing/need.ts';
import { dir, file, tarOf, tree } from '../../testing/tree.ts';
import { listChanges } from './change.ts';

const BASE = tree({
  'etc/deep/down/conf': file('old'),
  'etc/passwd': file('root'),
  'tmp/gone/file': file(''),
  'tmp/touched': dir(),
  'tmp-': file('sorts between tmp and what is in it, byte by byte'),
  'var/mode': dir(),
});

for (const kind of ['overlay2', 'vfs'] as const)
  test(
    `changes are listed as docker prints them, by ${kind}`,
    { skip: needs('overlay') },
    async () => {
      await using work = await mkdtempDisposable(join(tmpdir(), 'changes-'));
      const { changes } = await edited([tarOf(BASE)], kind, join(work.path, 'w'), (root) => {
        writeFileSync(join(root, 'etc/deep/down/conf'), 'new');
        mkdirSync(join(root, 'new/inside'), { recursive: true });
        rmSync(join(root, 'tmp/gone'), { recursive: true });
        writeFileSync(join(root, 'tmp-'), '');
        utimesSync(join(root, 'tmp/touched'), 1, 1);
        chmodSync(join(root, 'var/mode'), 0o700);
        // Copied up, and the same again.
        chmodSync(join(root, 'etc/passwd'), 0o600);
        chmodSync(join(root, 'etc/passwd'), 0o644);
      });
      assert.deepEqual(
        listChanges(changes).map((change) => `${change.kind} ${change.path}`),
        [
          'modified /etc',
          'modified /etc/deep',
          'modified /etc/deep/down',
          'modified /etc/deep/down/conf',
          'added /new',
          'added /new/inside',
          'modified /tmp',
          'deleted /tmp/gone',
          'modified /tmp-',
          'modified /var',
          'modified /var/mode',
        ],
      );
    },
  );
