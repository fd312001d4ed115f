/**
 * Question: how fast is a layer inflated, by what we use and by what we could use?
 * Baseline: `igzip -dc` and `gzip -dc`, `zstd -dc`, into nothing; zlib's public streams.
 * Unit: MiB of output a second of CPU time, from files in the page cache.
 *
 *     node bench/micro/inflate.bench.ts [FILE.gz | FILE.zst]
 */
import { createReadStream, createWriteStream, mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { compress, decompress } from '../../src/io/compress.ts';
import { type Compression, sniffCompression } from '../../src/io/compression.ts';
import { InflateStream } from '../../src/io/inflate-stream.ts';
import { chunksOf, program, rounds } from './rounds.ts';
import { writeSample } from './sample.ts';

const CHUNK = 256 * 1024;

async function inflate(path: string, kind: Compression): Promise<number> {
  let size = 0;
  await using stream = new InflateStream(kind, ({ bytes, release }) => {
    size += bytes.length;
    release();
  });
  for (const chunk of chunksOf(path, CHUNK)) await stream.write(chunk);
  stream.end();
  return size;
}

async function compare(title: string, path: string): Promise<void> {
  const [start] = chunksOf(path, CHUNK);
  const kind = sniffCompression(start!);
  const mebibytes = (await inflate(path, kind)) / 2 ** 20;
  console.log(`\n${title}: ${kind}, ${mebibytes.toFixed(0)} MiB\n`);
  const source = () => createReadStream(path, { highWaterMark: CHUNK });
  const nothing = () => new Writable({ write: (_chunk, _encoding, done) => done() });
  const tools =
    kind === 'gzip'
      ? [...program('igzip', ['-dc', path]), ...program('gzip', ['-dc', path])]
      : program('zstd', ['-dc', path]);
  await rounds(
    [
      { name: 'InflateStream', run: async () => void (await inflate(path, kind)) },
      {
        name: 'decompress',
        async run() {
          for await (const _ of decompress(source()));
        },
      },
      {
        name: 'public streams',
        run: () =>
          pipeline(
            source(),
            kind === 'gzip'
              ? createGunzip({ chunkSize: CHUNK })
              : createZstdDecompress({ chunkSize: CHUNK }),
            nothing(),
          ),
      },
      ...tools,
    ],
    { amount: mebibytes, unit: 'MiB', runs: 5 },
  );
}

const [file] = process.argv.slice(2);
if (file !== undefined) await compare(file, file);
else {
  using directory = mkdtempDisposableSync(join(tmpdir(), 'mica-bench-'));
  const archive = join(directory.path, 'sample.tar');
  writeSample(archive, { files: 8000 });
  for (const kind of ['gzip', 'zstd'] as const) {
    const path = join(directory.path, kind);
    await pipeline(compress(createReadStream(archive), kind), createWriteStream(path));
    await compare('sample', path);
  }
}
