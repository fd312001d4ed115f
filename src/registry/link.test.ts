import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextTarget } from './link.ts';

for (const [links, expected] of [
  ['</a>; rel="next"', '/a'],
  ['<a?page=2>;rel=next', 'a?page=2'],
  ['</x>; rel="prev", </a,b>; rel="next"', '/a,b'],
  ['</a>; title="more"; rel=next', '/a'],
  ['</x>, </y> , </a> ;REL=next,', '/a'],
  ['</x>; rel="prev"', undefined],
  ['</x>; xrel=next', undefined],
  ['</x> rel="next"', undefined],
  ['</x; rel="next"', undefined],
  ['', undefined],
] as const)
  test(`the next page of ${links || 'nothing'} is ${expected}`, () => {
    assert.equal(nextTarget(links), expected);
  });

for (const part of ['<', '<a>;', '<a>,', '<a>; rel,'])
  test(`a header that is full of ${part} is read at once`, () => {
    const links = part.repeat((256 * 1024) / part.length);
    const before = process.threadCpuUsage();
    assert.equal(nextTarget(links), undefined);
    // Of the processor: a pattern that begins anew at each takes seven seconds and more.
    const { user } = process.threadCpuUsage(before);
    assert.ok(user < 2_000_000, `${user} microseconds`);
  });
