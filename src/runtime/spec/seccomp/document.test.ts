import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseProfile, resolveProfile } from './document.ts';

const parse = (document: unknown): ReturnType<typeof parseProfile> =>
  parseProfile(Buffer.from(JSON.stringify(document)), 'x.json');

const FACTS = { arch: 'x64', kernel: '5.10.1-amd64', capabilities: ['CAP_SYS_ADMIN'] };

const CONDITIONS: readonly (readonly [what: string, call: object, isThere: boolean])[] = [
  ['without conditions', {}, true],
  ['with conditions that are null', { includes: null, excludes: null, args: null }, true],
  ['with conditions that are empty', { includes: {}, excludes: {} }, true],
  ['for this processor', { includes: { arches: ['amd64', 'x32'] } }, true],
  ['for another processor', { includes: { arches: ['arm64'] } }, false],
  ['but for this processor', { excludes: { arches: ['amd64'] } }, false],
  ['with a capability', { includes: { caps: ['CAP_SYS_ADMIN'] } }, true],
  ['with a capability more', { includes: { caps: ['CAP_SYS_ADMIN', 'CAP_BPF'] } }, false],
  ['without a capability', { excludes: { caps: ['CAP_SYS_ADMIN'] } }, false],
  ['without others', { excludes: { caps: ['CAP_BPF'] } }, true],
  ['from an older kernel on', { includes: { minKernel: '4.8' } }, true],
  ['from this kernel on', { includes: { minKernel: '5.10' } }, true],
  ['from a newer kernel on', { includes: { minKernel: '5.11' } }, false],
  ['up to this kernel', { excludes: { minKernel: '5.10' } }, false],
];

for (const [what, call, isThere] of CONDITIONS)
  test(`a rule ${what} ${isThere ? 'holds' : 'does not hold'}`, () => {
    const document = parse({
      defaultAction: 'SCMP_ACT_ERRNO',
      syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', ...call }],
    });
    const { syscalls } = resolveProfile(document, FACTS);
    assert.deepEqual(syscalls, isThere ? [{ names: ['read'], action: 'SCMP_ACT_ALLOW' }] : []);
  });

test('architectures are those that go with the machine, and old names of calls are read', () => {
  const document = parse({
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    archMap: [
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] },
      { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: null },
    ],
    syscalls: [
      {
        name: 'clone',
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
        comment: 'whatever',
      },
    ],
  });
  const args = [{ index: 0, value: 2114060288, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }];
  assert.deepEqual(resolveProfile(document, FACTS), {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [{ names: ['clone'], action: 'SCMP_ACT_ALLOW', args }],
  });
  const { architectures } = resolveProfile(document, { ...FACTS, arch: 'arm64' });
  assert.deepEqual(architectures, ['SCMP_ARCH_AARCH64']);
});

for (const document of [
  [],
  {},
  { defaultAction: 1 },
  { defaultAction: 'x', syscalls: [{ names: 'read', action: 'x' }] },
  { defaultAction: 'x', syscalls: [{ names: ['read'] }] },
  { defaultAction: 'x', syscalls: [{ action: 'x', args: [{ index: 0, value: -1, op: 'x' }] }] },
  { defaultAction: 'x', syscalls: [{ action: 'x', includes: { minKernel: 'five' } }] },
])
  test(`${JSON.stringify(document)} is no profile`, () => {
    assert.throws(() => parse(document), {
      code: 'INVALID_ARGUMENT',
      message: /^seccomp profile x\.json/,
    });
  });
