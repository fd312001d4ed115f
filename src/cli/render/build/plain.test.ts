import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BuildEvent, BuildStep } from '../../../build/event.ts';
import { jsonBuild } from './json-lines.ts';
import { plainBuild } from './plain.ts';

const step: BuildStep = {
  id: 2,
  stage: 'app',
  position: 2,
  of: 5,
  source: 'COPY \u001b[31m . /',
  line: 3,
};
const output = (text: string): BuildEvent => ({
  type: 'output',
  step,
  stream: 'stdout',
  data: Buffer.from(text),
});
const digest = 'a'.repeat(64);

const EVENTS: readonly BuildEvent[] = [
  { type: 'started', step },
  output('one\nt'),
  output('wo\u001b[2J\n'),
  output('rest'),
  {
    type: 'done',
    step,
    cache: {
      hit: false,
      reasons: [
        {
          kind: 'changed',
          input: '/app/a',
          before: `file 644 0:0 ${digest}`,
          now: `file 755 0:7 ${digest.replace('a', 'b')}`,
        },
        { kind: 'changed', input: 'the argument V', before: '1', now: '2' },
        { kind: 'added', input: '/app/b', before: undefined, now: `file 644 0:0 ${digest}` },
        { kind: 'removed', input: '/app/c', before: 'x', now: undefined },
      ],
    },
    layer: { diffId: `sha256:${digest}` as never, size: 1500 },
    milliseconds: 1234,
  },
  { type: 'started', step: { ...step, id: 3 } },
  {
    type: 'done',
    step: { ...step, id: 3 },
    cache: { hit: true, since: new Date(0) },
    layer: undefined,
    milliseconds: 1,
  },
  { type: 'failed', step, message: 'Dockerfile:3: no' },
  { type: 'warning', message: 'careful' },
];

const shown = (explain: boolean): string => {
  let text = '';
  const renderer = plainBuild(
    (more) => (text += more),
    { explain },
    () => 0,
  );
  for (const event of EVENTS) renderer.event(event);
  renderer.end(undefined);
  return text;
};

test('a log of a build says what each step did, and what a terminal would obey is spelled out', () => {
  assert.equal(
    shown(false),
    `#2 [app 2/5] COPY \\033[31m . /
#2 0.0 one
#2 0.0 two\\033[2J
#2 0.0 rest
#2 DONE 1.2s, layer of 1.5kB
#3 [app 2/5] COPY \\033[31m . /
#3 CACHED
#2 ERROR Dockerfile:3: no
Warning: careful
`,
  );
});

test('lines are whole, wherever characters and streams were torn, and none is endless', () => {
  const lines: string[] = [];
  const renderer = plainBuild(
    (line) => lines.push(line),
    { explain: false },
    () => 0,
  );
  const say = (stream: 'stdout' | 'stderr', data: Uint8Array): void =>
    renderer.event({ type: 'output', step, stream, data });
  const euro = Buffer.from('1€\n');
  say('stdout', euro.subarray(0, 2));
  say('stderr', Buffer.from('aside\n'));
  say('stdout', euro.subarray(2));
  assert.deepEqual(lines.splice(0), ['#2 0.0 aside\n', '#2 0.0 1€\n']);
  for (let count = 0; count < 5; count++) say('stdout', Buffer.alloc(10_000, 'x'));
  assert.equal(lines.length, 3);
  assert.equal(lines[0]!.length, '#2 0.0 \n'.length + 16 * 1024);
  const objects: string[] = [];
  const json = jsonBuild((line) => objects.push((JSON.parse(line) as { data: string }).data));
  for (const data of [euro.subarray(0, 2), euro.subarray(2)])
    json.event({ type: 'output', step, stream: 'stdout', data });
  assert.deepEqual(objects, ['1', '€\n']);
});

test('with --explain, it also says why a step was made again', () => {
  assert.deepEqual(
    shown(true)
      .split('\n')
      .filter((line) => line.includes('not cached')),
    [
      '#2 not cached: /app/a changed: mode 644 → 755, owner 0:0 → 0:7, content',
      '#2 not cached: the argument V changed: 1 → 2',
      '#2 not cached: /app/b is new',
      '#2 not cached: /app/c is gone',
    ],
  );
});

test('as JSON, every event is a line, with output as text', () => {
  const lines: string[] = [];
  const renderer = jsonBuild((line) => lines.push(line));
  for (const event of EVENTS) renderer.event(event);
  assert.equal(lines.length, EVENTS.length);
  assert.equal((JSON.parse(lines[1]!) as { data: string }).data, 'one\nt');
});
