import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { framingOf } from './framing.ts';
import { MAX_HEAD, parseHead } from './head.ts';

const head = (...lines: string[]): ReturnType<typeof parseHead> =>
  parseHead(['HTTP/1.1 200 OK', ...lines].join('\r\n'));

/** Reads a body that arrives in pieces of these lengths; the rest comes at once. */
function read(
  wire: Buffer,
  lengths: readonly number[],
  ...lines: string[]
): { body: Buffer; rest: Buffer } {
  const framing = framingOf(head(...lines));
  const chunks: Buffer[] = [];
  let at = 0;
  let rest: Buffer = Buffer.alloc(0);
  for (const length of [...lengths, wire.byteLength]) {
    rest = wire.subarray(at, at + length);
    at += rest.byteLength;
    while (rest.byteLength > 0 && !framing.done) {
      const part = framing.next(rest);
      chunks.push(part.chunk);
      ({ rest } = part);
    }
  }
  if (!framing.done) framing.end();
  return { body: Buffer.concat(chunks), rest };
}

const pieces = fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 30 });
const bodies = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));

test('a counted body ends where it says, whatever comes after it', () => {
  fc.assert(
    fc.property(bodies, pieces, (bytes, lengths) => {
      const wire = Buffer.concat([bytes, Buffer.from('HTTP/1.1')]);
      const { body } = read(wire, lengths, `Content-Length: ${bytes.byteLength}`);
      assert.ok(body.equals(bytes));
    }),
  );
});

test('a chunked body is the same however it is cut', () => {
  fc.assert(
    fc.property(fc.array(bodies.filter(({ length }) => length > 0)), pieces, (chunks, lengths) => {
      const wire = Buffer.concat([
        ...chunks.flatMap((chunk) => [
          Buffer.from(`${chunk.byteLength.toString(16)};ext="x"\r\n`),
          chunk,
          Buffer.from('\r\n'),
        ]),
        Buffer.from('0\r\nTrailer: x\r\n\r\n'),
      ]);
      const { body, rest } = read(wire, lengths, 'Transfer-Encoding: chunked');
      assert.ok(body.equals(Buffer.concat(chunks)));
      assert.equal(rest.byteLength, 0);
    }),
  );
});

test('a body without a length ends with the connection', () => {
  assert.equal(read(Buffer.from('abc'), [1]).body.toString(), 'abc');
});

const BROKEN: readonly (readonly [wire: string, ...lines: string[]])[] = [
  ['abc', 'Content-Length: 4'],
  ['abc', 'Content-Length: -1'],
  ['abc', 'Content-Length: 3, 3'],
  ['abc', 'Content-Length: 0x3'],
  ['3\r\nabc\r\n0\r\n\r\n', 'Content-Length: 3', 'Transfer-Encoding: chunked'],
  ['abc', 'Transfer-Encoding: gzip'],
  ['abc', 'Transfer-Encoding: chunked, chunked'],
  ['3\r\nabc', 'Transfer-Encoding: chunked'],
  ['3\r\nabcd\r\n', 'Transfer-Encoding: chunked'],
  ['3\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'],
  ['-3\r\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'],
  ['fffffffffffffffff\r\n', 'Transfer-Encoding: chunked'],
  [`${'0'.repeat(2000)}\r\n`, 'Transfer-Encoding: chunked'],
  [`0\r\n${'x: y\r\n'.repeat(200)}\r\n`, 'Transfer-Encoding: chunked'],
];

for (const [wire, ...lines] of BROKEN)
  test(`${JSON.stringify(wire.slice(0, 20))} after ${lines.join(', ')} is an error`, () => {
    assert.throws(() => read(Buffer.from(wire), [], ...lines), { code: /^(?:HPE|ECONN)/ });
  });

test('heads are read strictly', () => {
  const { status, headers, persistent } = head('X-A:  1 ', 'x-a: 2', 'Connection: Keep-Alive');
  assert.deepEqual([status, headers.get('x-a'), persistent], [200, '1, 2', true]);
  assert.equal(head('Connection: x, close').persistent, false);
  assert.equal(parseHead('HTTP/1.0 204').persistent, false);
  for (const text of [
    '',
    'HTTP/2 200',
    'HTTP/1.1 20',
    'SSH-2.0-OpenSSH',
    'HTTP/1.1 200 OK\r\n x',
    'HTTP/1.1 200 OK\r\na b: c',
    'HTTP/1.1 200 OK\r\nx: a\nb',
    'HTTP/1.1 200 OK\r\n: c',
  ])
    assert.throws(() => parseHead(text), { code: /^HPE/ }, text);
});

test('a head that is full of blanks is read at once', () => {
  const blanks = ' '.repeat(2 * MAX_HEAD);
  const before = process.threadCpuUsage();
  const { headers, persistent } = head(`X-A: 1${blanks}2${blanks}`, `Connection: x${blanks}y`);
  assert.equal(headers.get('x-a'), `1${blanks}2`);
  assert.equal(persistent, true);
  // Of the processor: a pattern takes fifteen seconds.
  const { user } = process.threadCpuUsage(before);
  assert.ok(user < 2_000_000, `${user} microseconds`);
});
