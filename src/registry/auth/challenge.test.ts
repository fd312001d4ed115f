import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChallenges } from './challenge.ts';

const CASES: readonly (readonly [
  string,
  readonly (readonly [string, Record<string, string>])[],
])[] = [
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    [
      [
        'bearer',
        {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      ],
    ],
  ],
  ['Basic realm="a, Bearer realm=\\"b\\""', [['basic', { realm: 'a, Bearer realm="b"' }]]],
  [
    'Basic realm=x, Bearer realm="y" , Service=z',
    [
      ['basic', { realm: 'x' }],
      ['bearer', { realm: 'y', service: 'z' }],
    ],
  ],
  [
    'Negotiate, NTLM, Basic realm="x"',
    [
      ['negotiate', {}],
      ['ntlm', {}],
      ['basic', { realm: 'x' }],
    ],
  ],
  [
    'Negotiate YIIB/+==, Bearer realm="x"',
    [
      ['negotiate', {}],
      ['bearer', { realm: 'x' }],
    ],
  ],
  [', ,Basic realm = "x",,', [['basic', { realm: 'x' }]]],
  ['Bearer realm="first", realm="second"', [['bearer', { realm: 'first' }]]],
  ['', []],
  ['"', []],
];

for (const [header, expected] of CASES)
  test(`${JSON.stringify(header.slice(0, 60))} offers ${expected.map(([scheme]) => scheme).join(' and ') || 'nothing'}`, () => {
    const found = parseChallenges(header).map(({ scheme, parameters }) => [
      scheme,
      Object.fromEntries(parameters),
    ]);
    assert.deepEqual(found, expected);
  });

test('any header is read in no time, and gives few challenges', () => {
  const part = fc.constantFrom(
    'Basic',
    'Bearer',
    'realm',
    '=',
    '"',
    ',',
    ' ',
    '\\',
    'x',
    '/',
    '==',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 300 }), (parts) => {
      assert.ok(parseChallenges(parts.join('')).length <= 20);
    }),
  );
  const before = process.cpuUsage();
  parseChallenges(`Basic realm="${'\\"'.repeat(30_000)}`);
  parseChallenges(`Basic ${'a'.repeat(60_000)}`);
  parseChallenges('a '.repeat(30_000));
  assert.ok(process.cpuUsage(before).user < 2_000_000);
});
