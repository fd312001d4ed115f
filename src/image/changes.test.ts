import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCode } from '../errors.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { applyChanges } from './changes.ts';

const CASES: readonly (readonly [
  changes: readonly string[],
  expected: ContainerDefaults,
  before?: ContainerDefaults,
])[] = [
  [['CMD ["redis-server", "-p"]'], { Cmd: ['redis-server', '-p'] }],
  [['cmd echo "a b"'], { Cmd: ['/bin/sh', '-c', 'echo "a b"'] }],
  [['SHELL ["bash","-c"]', 'CMD x'], { Shell: ['bash', '-c'], Cmd: ['bash', '-c', 'x'] }],
  [['ENTRYPOINT ["e"]'], { Cmd: undefined, Entrypoint: ['e'] }, { Cmd: ['old'] }],
  [['CMD ["c"]', 'ENTRYPOINT ["e"]'], { Cmd: ['c'], Entrypoint: ['e'] }],
  [['ENV A=1 B="x y" C=p\\ q D=\'$HOME\''], { Env: ['A=1', 'B=x y', 'C=p q', 'D=$HOME'] }],
  [['ENV A the whole line'], { Env: ['A=the whole line'] }],
  [['ENV A=2'], { Env: ['A=2', 'B=1'] }, { Env: ['A=1', 'B=1'] }],
  [
    ['EXPOSE 80 53/udp 8000-8001'],
    { ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} } },
  ],
  [
    ['LABEL a=1 "b c"="d e"'],
    { Labels: { a: '1', 'b c': 'd e', old: '' } },
    { Labels: { old: '' } },
  ],
  [['VOLUME /a /b', 'VOLUME ["/c d"]'], { Volumes: { '/a': {}, '/b': {}, '/c d': {} } }],
  [['WORKDIR /a', 'WORKDIR b/../c'], { WorkingDir: '/a/c' }],
  [['USER nobody:nogroup'], { User: 'nobody:nogroup' }],
  [['STOPSIGNAL SIGINT'], { StopSignal: 'SIGINT' }],
  [['STOPSIGNAL rtmin+3'], { StopSignal: 'rtmin+3' }],
  [['ONBUILD RUN make'], { OnBuild: ['RUN make'] }],
  [['HEALTHCHECK NONE'], { Healthcheck: { Test: ['NONE'] } }],
  [
    ['HEALTHCHECK --interval=1m30s --retries=3 CMD curl -f localhost'],
    { Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost'], Interval: 90e9, Retries: 3 } },
  ],
];

for (const [changes, expected, before = {}] of CASES)
  test(`${changes.join(' and ')} is applied as docker does`, () => {
    assert.deepEqual(applyChanges(before, changes), expected);
  });

for (const change of [
  '',
  'RUN make',
  'COPY a b',
  '__proto__ x',
  'CMD',
  'ENV A="open',
  'ENV =x',
  'EXPOSE web',
  'EXPOSE 70000',
  'EXPOSE 9-1',
  'SHELL bash',
  'ONBUILD ONBUILD RUN x',
  'onbuild from x',
  'STOPSIGNAL 65',
  'STOPSIGNAL SIGNAL',
  'STOPSIGNAL RTMIN+31',
  'STOPSIGNAL kill it',
  'HEALTHCHECK curl',
  'HEALTHCHECK --often=1s CMD x',
  'HEALTHCHECK --interval=soon CMD x',
])
  test(`${JSON.stringify(change)} is refused as a change`, () => {
    assert.throws(
      () => applyChanges({}, [change]),
      (error) => isCode(error, 'INVALID_ARGUMENT'),
    );
  });
