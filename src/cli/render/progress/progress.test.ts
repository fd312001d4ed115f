import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { join } from 'node:path';
import type { PullEvent, PullResult } from '../../../engine/pull/pull.ts';
import type { Descriptor } from '../../../oci/descriptor.ts';
import type { Digest } from '../../../oci/digest.ts';
import { frame } from './frame.ts';
import { jsonProgress } from './json-lines.ts';
import { plainProgress } from './plain.ts';
import { TransferState } from './state.ts';
import { pullConclusion } from './conclusions.ts';
import { terminalProgress } from './terminal.ts';

const descriptor = (digit: string, size: number): Descriptor => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
  digest: `sha256:${digit.repeat(64)}` as Digest,
  size,
});

const [BASE, APP, PATCH] = [
  descriptor('a', 60_400_000),
  descriptor('b', 100_000_000),
  descriptor('c', 1250),
];
const MANY = Array.from({ length: 61 }, (_, at) => ({
  ...descriptor('d', 1_000_000 + at),
  digest: `sha256:${String(at).padStart(4, '0').repeat(16)}` as Digest,
}));

/** Events of a pull as they were collected, each with its time in milliseconds. */
type Recording = readonly (readonly [at: number, event: PullEvent])[];

const bytes = (
  target: Descriptor,
  here: number,
  rest: { resumed?: number; shared?: boolean } = {},
): PullEvent => ({
  type: 'bytes',
  target,
  bytes: here,
  resumed: rest.resumed ?? 0,
  shared: rest.shared ?? false,
});

const PULL: Recording = [
  [0, { type: 'resolving', reference: 'docker.io/library/app:latest' }],
  [40, { type: 'resolved', target: descriptor('e', 500), from: 'docker.io/library/app' }],
  [50, { type: 'layers', layers: [BASE, APP, PATCH] }],
  [51, { type: 'exists', target: BASE }],
  [52, { type: 'waiting', target: PATCH }],
  [60, bytes(APP, 20_000_000, { resumed: 20_000_000 })],
  [1060, bytes(APP, 31_000_000, { resumed: 20_000_000 })],
  [2060, bytes(APP, 42_000_000, { resumed: 20_000_000 })],
  [3000, { type: 'retry', target: APP, reason: 'read ECONNRESET\u001b[2J', delay: 2500 }],
  [6000, bytes(APP, 60_000_000, { resumed: 20_000_000 })],
  [6500, bytes(PATCH, 700, { shared: true })],
  [9000, bytes(APP, 99_000_000, { resumed: 20_000_000 })],
  [9100, { type: 'downloaded', target: APP }],
  [9200, { type: 'extracting', target: APP, bytes: 50_000_000 }],
  [9300, { type: 'warning', message: 'mirror \u001b[1m is down' }],
  [9400, { type: 'complete', target: APP }],
  [9500, { type: 'downloaded', target: PATCH }],
  [9600, { type: 'complete', target: PATCH }],
];

const RESULT = {
  reference: 'docker.io/library/app:latest',
  target: descriptor('e', 500),
  image: { id: `sha256:${'f'.repeat(64)}` },
  upToDate: false,
  bytesFetched: 80_001_250,
} as PullResult;

function golden(t: TestContext, text: string, name: string): void {
  const path = join(import.meta.dirname, 'golden', name);
  t.assert.fileSnapshot(text, path, { serializers: [String] });
}

/** Every picture of a terminal during a recording. */
function pictures(recording: Recording, columns: number, rows: number): string {
  const state = new TransferState();
  return recording
    .map(([at, event]) => {
      state.apply(event, at);
      const lines = frame(state, { columns, rows }, at);
      return `-- ${at} ms: ${event.type}\n${lines.join('\n')}\n`;
    })
    .join('');
}

test('a terminal shows a line a layer', (t) => {
  golden(t, pictures(PULL, 100, 24), 'terminal.txt');
});

test('a narrow terminal shows what fits', (t) => {
  golden(t, pictures(PULL, 40, 24), 'narrow.txt');
});

test('a terminal with fewer lines than layers shows those that move, and counts the others', (t) => {
  const recording: Recording = [
    [0, { type: 'layers', layers: MANY }],
    ...MANY.slice(0, 30).map((target): Recording[number] => [10, { type: 'complete', target }]),
    ...MANY.slice(30, 34).map((target): Recording[number] => [20, bytes(target, 500_000)]),
    [520, bytes(MANY[30]!, 900_000)],
    ...MANY.slice(34, 50).map((target): Recording[number] => [
      530,
      { type: 'extracting', target, bytes: 1000 },
    ]),
  ];
  const state = new TransferState();
  for (const [at, event] of recording) state.apply(event, at);
  golden(t, `${frame(state, { columns: 80, rows: 10 }, 600).join('\n')}\n`, 'short.txt');
});

function printed(render: typeof plainProgress): string {
  let [text, now] = ['', 0];
  const renderer = render(
    (piece) => {
      text += piece;
    },
    () => now,
  );
  for (const [at, event] of PULL) {
    now = at;
    renderer.event(event);
  }
  renderer.end(pullConclusion(RESULT));
  return text;
}

test('a log gets a line where something ends, and one about bytes now and then', (t) => {
  golden(t, printed(plainProgress), 'plain.txt');
});

test('a program gets every event as a line of JSON', (t) => {
  golden(t, printed(jsonProgress), 'events.jsonl');
});

test('bytes are told at most ten times a second, and when they are all there', (t) => {
  let [lines, now] = [0, 0];
  const renderer = jsonProgress(
    () => lines++,
    () => now,
  );
  for (let here = 0; here <= APP.size; here += APP.size / 1000) {
    renderer.event(bytes(APP, here));
    now += 1;
  }
  t.assert.equal(lines, 11);
});

test('what stays on a terminal after a pull is every layer and the result', () => {
  const chunks: string[] = [];
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 60, rows: 3 });
  stream.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
  const renderer = terminalProgress(stream);
  for (const [, event] of PULL) renderer.event(event);
  renderer.end(pullConclusion(RESULT));
  const text = chunks.join('');
  const kept = text.slice(text.lastIndexOf('aaaaaaaaaaaa'));
  // oxlint-disable-next-line no-control-regex
  const plain = kept.replaceAll(/\u001b\[[?\d;]*[a-zA-Z]/g, '');
  assert.equal(
    plain,
    `aaaaaaaaaaaa: Already exists
bbbbbbbbbbbb: Pull complete
cccccccccccc: Pull complete
Digest: sha256:${'e'.repeat(64)}
Status: Downloaded newer image for app:latest
docker.io/library/app:latest
`,
  );
  assert.ok(!text.includes('\u001b[2J') && !text.includes('\u001b[1m'));
});
