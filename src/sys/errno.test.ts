import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import { errnoOf, fromNode, kernelError } from './errno.ts';

/** As Node's own functions throw what libuv has no name for. */
const unnamed = (errno: number): Error =>
  Object.assign(new Error('UNKNOWN: unknown error, write'), {
    errno: -errno,
    code: 'UNKNOWN',
    syscall: 'write',
  });

for (const [errno, name, code] of [
  [122, 'EDQUOT', 'RESOURCE_EXHAUSTED'],
  [117, 'EUCLEAN', 'DATA_LOSS'],
  [116, 'ESTALE', 'FAILED_PRECONDITION'],
] as const)
  test(`${name}, which Node calls UNKNOWN, is known`, () => {
    assert.equal(errnoOf(unnamed(errno)), name);
    assert.ok(isCode(fromNode(unnamed(errno)), code));
  });

test('EOPNOTSUPP has one name, whoever throws it', () => {
  const node = Object.assign(new Error('ENOTSUP: operation not supported on socket, link'), {
    errno: -95,
    code: 'ENOTSUP',
    syscall: 'link',
  });
  for (const error of [node, fromNode(node), kernelError(95, 'ioctl', '')])
    assert.equal(errnoOf(error), 'EOPNOTSUPP');
});
