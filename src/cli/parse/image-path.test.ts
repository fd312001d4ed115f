import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImagePaths } from './image-path.ts';

const digest = `sha256:${'a'.repeat(64)}`;

const CASES: readonly (readonly [words: readonly string[], expected: readonly string[]])[] = [
  [['redis'], ['redis', '', '/']],
  [['redis:/etc'], ['redis', '', '/etc']],
  [['redis:7:/etc/a:/b'], ['redis:7', '', '/etc/a:/b']],
  [
    ['redis:7', 'etc'],
    ['redis:7', '', 'etc'],
  ],
  [['127.0.0.1:5000/x:1'], ['127.0.0.1:5000/x:1', '', '/']],
  [['127.0.0.1:5000/x:1:/'], ['127.0.0.1:5000/x:1', '', '/']],
  [['[::1]:5000/x:/a'], ['[::1]:5000/x', '', '/a']],
  [['redis@3'], ['redis', '3', '/']],
  [['redis:7@3:/a'], ['redis:7', '3', '/a']],
  [[`redis@${digest}:/a`], [`redis@${digest}`, '', '/a']],
  [
    [`redis@${digest}@2`, '/a'],
    [`redis@${digest}`, '2', '/a'],
  ],
];

for (const [words, [image, layers, path]] of CASES)
  test(`${words.join(' ')} is ${path} in ${image}${layers && `, ${layers} layers`}`, () => {
    const [first, ...paths] = words;
    assert.deepEqual(parseImagePaths(first!, paths, '/'), [
      { image, layers: layers === '' ? undefined : Number(layers), path },
    ]);
  });

test('several paths of one image, or of several', () => {
  assert.deepEqual(
    parseImagePaths('a', ['/x', 'b:/y', '/z']).map(({ image, path }) => `${image} ${path}`),
    ['a /x', 'b /y', 'a /z'],
  );
  assert.deepEqual(
    parseImagePaths('a:/x', ['b:/y']).map(({ image, path }) => `${image} ${path}`),
    ['a /x', 'b /y'],
  );
});

test('a path is asked for where one is needed', () => {
  assert.throws(() => parseImagePaths('redis', []), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => parseImagePaths('redis:/a', ['b']), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => parseImagePaths('redis@0', ['b']), { code: 'INVALID_ARGUMENT' });
});
