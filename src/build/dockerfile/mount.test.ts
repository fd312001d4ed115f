import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Mount, parseMount } from './mount.ts';

const parse = (text: string): Mount => parseMount(text, { file: 'Dockerfile', line: 3 });

const owner = { uid: 0, gid: 0 };

const MOUNTS: readonly (readonly [text: string, expected: Mount])[] = [
  ['target=/x', { type: 'bind', target: '/x', source: '/', from: undefined, writable: false }],
  [
    'type=bind,from=base,src=a/b,dst=/x,rw',
    { type: 'bind', target: '/x', source: 'a/b', from: 'base', writable: true },
  ],
  [
    'type=cache,target=/c',
    {
      type: 'cache',
      id: '/c',
      target: '/c',
      source: '/',
      from: undefined,
      readonly: false,
      sharing: 'shared',
      mode: 0o755,
      ...owner,
    },
  ],
  [
    'type=cache,id=apt,target=/c,sharing=locked,mode=0700,uid=5,gid=6,ro=true,from=base,source=s',
    {
      type: 'cache',
      id: 'apt',
      target: '/c',
      source: 's',
      from: 'base',
      readonly: true,
      sharing: 'locked',
      mode: 0o700,
      uid: 5,
      gid: 6,
    },
  ],
  ['type=tmpfs,target=/t,size=64m', { type: 'tmpfs', target: '/t', size: 64 << 20 }],
  ['type=tmpfs,dst=/t', { type: 'tmpfs', target: '/t', size: undefined }],
  [
    'type=secret,id=key',
    {
      type: 'secret',
      id: 'key',
      target: '/run/secrets/key',
      env: undefined,
      required: false,
      mode: 0o400,
      ...owner,
    },
  ],
  [
    'type=secret,id=key,env=KEY,required',
    {
      type: 'secret',
      id: 'key',
      target: undefined,
      env: 'KEY',
      required: true,
      mode: 0o400,
      ...owner,
    },
  ],
  [
    'type=secret,target=/a/b,mode=0444',
    {
      type: 'secret',
      id: 'b',
      target: '/a/b',
      env: undefined,
      required: false,
      mode: 0o444,
      ...owner,
    },
  ],
];

for (const [text, expected] of MOUNTS)
  test(`reads --mount=${text}`, () => assert.deepEqual(parse(text), expected));

for (const [text, code] of [
  ['type=ssh', 'NOT_IMPLEMENTED'],
  ['type=disk,target=/x', 'INVALID_ARGUMENT'],
  ['type=bind', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,size=1', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,sharing=all', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,mode=9', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,target=/y', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,dst=/y', 'INVALID_ARGUMENT'],
  ['type=cache,target=/x,ro=maybe', 'INVALID_ARGUMENT'],
  ['type=tmpfs,target=/x,size=big', 'INVALID_ARGUMENT'],
  ['type=secret', 'INVALID_ARGUMENT'],
] as const)
  test(`refuses --mount=${text}, with the place`, () => {
    assert.throws(
      () => parse(text),
      (error: Error & { code: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, /^Dockerfile:3: /);
        return true;
      },
    );
  });
