import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { parseSecrets } from './secrets.ts';

before(() => Object.assign(process.env, { MICA_TEST_SECRET: 'hush', MICA_TEST_OTHER: 'other' }));
after(() => {
  delete process.env['MICA_TEST_SECRET'];
  delete process.env['MICA_TEST_OTHER'];
});

/** What BuildKit makes of the same. */
const CASES: readonly (readonly [word: string, id: string, secret: string | Buffer])[] = [
  ['id=a,src=/x/y', 'a', '/x/y'],
  ['id=a,source=/x/y', 'a', '/x/y'],
  ['type=file,id=w', 'w', resolve('w')],
  ['ID=w', 'w', resolve('w')],
  ['id=a,env=MICA_TEST_SECRET', 'a', Buffer.from('hush')],
  ['type=env,id=MICA_TEST_SECRET', 'MICA_TEST_SECRET', Buffer.from('hush')],
  ['type=env,id=a,src=MICA_TEST_SECRET', 'a', Buffer.from('hush')],
  ['type=env,id=a,src=MICA_TEST_SECRET,env=MICA_TEST_OTHER', 'a', Buffer.from('other')],
  ['id=MICA_TEST_SECRET', 'MICA_TEST_SECRET', Buffer.from('hush')],
  ['id=MICA_TEST_SECRET,src=/x', 'MICA_TEST_SECRET', '/x'],
  ['id=a,env=MICA_TEST_UNSET', 'a', Buffer.alloc(0)],
];

for (const [word, id, secret] of CASES)
  test(`--secret ${word} is ${typeof secret === 'string' ? 'a file' : 'of the environment'}`, () => {
    assert.deepEqual(parseSecrets([word]), { [id]: secret });
  });

for (const word of [
  '',
  'a',
  'id=a,id=b',
  'id=',
  'type=file',
  'src=/x',
  'id=a,type=ssh',
  'id=a,x=y',
])
  test(`refuses --secret ${word}`, () => {
    assert.throws(() => parseSecrets([word]), { code: 'INVALID_ARGUMENT' });
  });
