import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { parseMountinfo, readMountinfo } from './mountinfo.ts';

test('octal escapes, optional fields and super options are read', () => {
  const text = String.raw`36 35 98:0 /mnt1 /a\040b\134c rw,noatime shared:1 master:2 - ext3 /dev/\043root rw,errors=continue
40 36 0:44 / /plain ro,relatime - overlay overlay ro,lowerdir=/x\072y:/z
`;
  const [first, second] = parseMountinfo(text);
  assert.deepEqual(first, {
    id: 36,
    parent: 35,
    device: '98:0',
    root: '/mnt1',
    target: String.raw`/a b\c`,
    options: ['rw', 'noatime'],
    type: 'ext3',
    source: '/dev/#root',
    superOptions: ['rw', 'errors=continue'],
  });
  assert.deepEqual(second?.superOptions, ['ro', 'lowerdir=/x:y:/z']);
});

test('lines that are no mounts are left out', () => {
  assert.deepEqual(parseMountinfo('\n36 35 98:0\n'), []);
});

test('the machine has a root mount', { skip: needs('linux') }, () => {
  assert.ok(readMountinfo().some(({ target }) => target === '/'));
});
