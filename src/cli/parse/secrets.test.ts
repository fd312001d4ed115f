import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parseSecrets } from './secrets.ts';

test('a secret has an id and a file, each by default the other', () => {
  assert.deepEqual(parseSecrets(['id=a,src=/x/y', 'src=/x/z', 'type=file,id=w']), {
    a: '/x/y',
    z: '/x/z',
    w: resolve('w'),
  });
});

for (const word of ['', 'a', 'id=a,env=B', 'id=a,id=b', 'id=', 'type=env,id=a', 'type=file'])
  test(`refuses --secret ${word}`, () => {
    assert.throws(() => parseSecrets([word]), { code: 'INVALID_ARGUMENT' });
  });
