import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNames, decodeState, decodeTargets, encodeRequest } from './request.ts';

/** Bytes as the kernel's headers lay them out, written down by hand. */
const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, n) => bytes.writeUInt32LE(value, n * 4));
  return bytes;
};

test('a request is a header of 312 bytes with version 4.0.0, sizes and name', () => {
  const request = encodeRequest({ name: 'pool', flags: 0x20001, cookie: 0xe0000 });
  assert.equal(request.length, 312);
  const expected = u32(4, 0, 0, 312, 312, 0, 0, 0x20001, 0xe0000, 0, 0, 0);
  assert.deepEqual(request.subarray(0, 48), expected);
  assert.equal(request.toString('latin1', 48, 53), 'pool\0');
});

test('a table has each line at a multiple of eight bytes, told from its own start', () => {
  const line = (start: number, parameters: string) => ({
    start,
    length: 8,
    type: 'thin',
    parameters,
  });
  const request = encodeRequest({ name: 'x', targets: [line(0, '253:0 1'), line(8, '')] });
  const first = request.subarray(312);
  assert.equal(request.readUInt32LE(20), 2);
  assert.deepEqual(first.subarray(0, 24), u32(0, 0, 8, 0, 0, 48));
  assert.equal(first.toString('latin1', 24, 29), 'thin\0');
  assert.equal(first.toString('latin1', 40, 48), '253:0 1\0');
  assert.deepEqual(first.subarray(48, 72), u32(8, 0, 8, 0, 0, 48));
  assert.equal(request.length, 312 + 96);
});

test('a message goes to sector 0, with its NUL', () => {
  const request = encodeRequest({ name: 'pool', message: 'create_thin 1' });
  assert.deepEqual(request.subarray(312, 320), Buffer.alloc(8));
  assert.equal(request.toString('latin1', 320), 'create_thin 1\0');
});

test('a device number is 12 bits of major and 20 of minor', () => {
  const answer = encodeRequest({ name: 'x', dev: 0x0010_fd34, flags: 0x21 });
  answer.writeInt32LE(3, 24);
  assert.deepEqual(decodeState(answer), {
    major: 253,
    minor: 0x134,
    openCount: 3,
    isSuspended: false,
    isReadonly: true,
    isLive: true,
    isLeaving: false,
  });
});

test('lines of an answer are told from the start of its data', () => {
  const spec = (next: number, text: string): Buffer => {
    const bytes = Buffer.alloc(56);
    bytes.writeUInt32LE(100, 8);
    bytes.writeUInt32LE(next, 20);
    bytes.write('thin', 24);
    bytes.write(text, 40);
    return bytes;
  };
  const data = Buffer.concat([spec(56, '8 15'), spec(112, '-')]);
  const answer = Buffer.concat([encodeRequest({ name: 'x' }), data]);
  answer.writeUInt32LE(2, 20);
  assert.deepEqual(
    decodeTargets(answer)?.map(({ length, type, parameters }) => [length, type, parameters]),
    [
      [100, 'thin', '8 15'],
      [100, 'thin', '-'],
    ],
  );
});

test('an answer that was cut short is none', () => {
  const answer = encodeRequest({ name: 'x', flags: 0x100, room: 64 });
  assert.equal(decodeTargets(answer), undefined);
  assert.equal(decodeNames(answer), undefined);
});

test('names of devices are a list of numbers, offsets and names', () => {
  const entry = (next: number, name: string): Buffer =>
    Buffer.concat([u32(0xfd00, 0, next), Buffer.from(name.padEnd(12, '\0'))]);
  const data = Buffer.concat([entry(24, 'first'), entry(0, 'second')]);
  const answer = Buffer.concat([encodeRequest({ name: '' }), data]);
  assert.deepEqual(decodeNames(answer), ['first', 'second']);
  assert.deepEqual(decodeNames(encodeRequest({ name: '', room: 64 })), []);
});
