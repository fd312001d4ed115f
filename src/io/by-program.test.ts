import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { needs } from '../testing/need.ts';
import { noise } from '../testing/noise.ts';
import { withoutProgramCompression } from './by-program.ts';
import type { Bytes } from './bytes.ts';

const MIXED = Buffer.concat([Buffer.alloc(3_000_000, 'layer'), noise(300_000)]);

async function* pieces(bytes: Uint8Array, size = 10_007): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const gathered = async (bytes: Bytes): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(bytes));

for (const program of ['xz', 'bzip2'] as const) {
  const skip = needs(program);
  const packed = skip ? Buffer.alloc(0) : execFileSync(program, ['-c'], { input: MIXED });

  test(`what ${program} has compressed is expanded, however it arrives`, { skip }, async () => {
    for (const size of [1 << 20, 4096])
      assert.ok((await gathered(withoutProgramCompression(pieces(packed, size)))).equals(MIXED));
  });

  test(`a cut or damaged stream of ${program} is DATA_LOSS`, { skip }, async () => {
    const damaged = Buffer.from(packed);
    damaged.fill(0x55, packed.length >> 1, (packed.length >> 1) + 2000);
    for (const bytes of [packed.subarray(0, packed.length >> 1), damaged, packed.subarray(0, 20)])
      await assert.rejects(gathered(withoutProgramCompression(pieces(bytes))), {
        code: 'DATA_LOSS',
      });
  });

  test(`without ${program} the error names the package`, { skip }, async () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      await assert.rejects(gathered(withoutProgramCompression(pieces(packed))), {
        code: 'NOT_IMPLEMENTED',
        message: /install it \(package/,
      });
    } finally {
      process.env['PATH'] = path;
    }
  });

  test(
    `a failing source of ${program} data is what is told, and who stops reading ends it`,
    { skip },
    async () => {
      async function* failing(): Bytes {
        yield packed.subarray(0, 100_000);
        throw new Error('the source broke');
      }
      await assert.rejects(gathered(withoutProgramCompression(failing())), /the source broke/);
      for await (const chunk of withoutProgramCompression(pieces(packed))) {
        assert.ok(chunk.length > 0);
        break;
      }
    },
  );
}

test('what is not compressed so passes through', async () => {
  for (const bytes of [MIXED, Buffer.from('BZhello'), Buffer.alloc(0)])
    assert.ok((await gathered(withoutProgramCompression(pieces(bytes)))).equals(bytes));
});
