import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const F_DUPFD = 0;

test(
  'what was inherited is closed but for what is kept, and that is handed on to nobody',
  {
    skip: needs('linux'),
  },
  () => {
    const open = openSync(import.meta.filename, 'r');
    // Behind a gap, where Node does not look for descriptors of others.
    const leaked = checked(syscall(NR.fcntl, open, F_DUPFD, 100), 'fcntl', '');
    const source = `
    import { existsSync } from 'node:fs';
    import { execFileSync } from 'node:child_process';
    import { closeInherited } from ${JSON.stringify(join(import.meta.dirname, 'inherited-fds.ts'))};
    const there = () => existsSync('/proc/self/fd/${leaked}');
    const before = there();
    closeInherited(3);
    const handedOn = execFileSync('sh', ['-c', 'test -e /proc/$$/fd/3 && echo yes || echo no'], { encoding: 'utf8' });
    console.log(before, there(), existsSync('/proc/self/fd/3'), handedOn.trim());`;
    try {
      const text = execFileSync(process.execPath, ['--input-type=module', '-e', source], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit', 'ignore'],
      });
      assert.equal(text, 'true false true no\n');
    } finally {
      closeSync(leaked);
      closeSync(open);
    }
  },
);
