import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Source } from '../../content/content.ts';
import { DroppedRows } from '../../content/dropped-rows.ts';
import { openDatabase } from '../../db/open.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { sha256 } from '../../oci/digest.ts';
import { OCI_LAYER } from '../../oci/media-type.ts';
import { openRegistry } from '../../registry/registry.ts';
import { serve } from '../../testing/serve.ts';
import { originSource } from './origins.ts';

const BYTES = Buffer.from('what a layer was');
const described = (bytes: Buffer): Descriptor => ({
  mediaType: OCI_LAYER,
  digest: sha256(bytes),
  size: bytes.byteLength,
});
const target = described(BYTES);
const other = described(Buffer.from('another'));

interface Bench extends AsyncDisposable {
  readonly source: Source;
  /** How often a registry was asked again. */
  readonly retries: () => number;
}

/** A store that has dropped both blobs, which came from these repositories. */
async function bench(...origins: readonly string[]): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-origins-')));
  const db = stack.use(await openDatabase(join(directory.path, 'store')));
  const rows = new DroppedRows(db);
  const blobs = [target, other].map(
    ({ digest, size }) => ({ digest, size, origins, how: 'refetch' }) as const,
  );
  db.transaction(() => rows.put(blobs));
  let retries = 0;
  const onRetry = (): void => void retries++;
  const registry = stack.use(openRegistry({ retry: { attempts: 2, delay: 5 }, onRetry }));
  const all = stack.move();
  return {
    source: originSource(db, async () => registry),
    retries: () => retries,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const fetched = async (source: Source, blob: Descriptor): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(source.fetch(blob)));

test('who cannot have a blob back is told from which repository', async () => {
  await using gone = await serve((_, response) => void response.destroy());
  await using at = await bench(`${gone.host}/team/app`);
  await assert.rejects(fetched(at.source, target), {
    code: 'UNAVAILABLE',
    message: new RegExp(`^blob ${target.digest} .* ${gone.host}/team/app: GET `),
  });
});

test('a registry that cannot be reached is tried once, however many blobs came from it', async () => {
  await using gone = await serve((_, response) => void response.destroy());
  await using at = await bench(`${gone.host}/team/app`, `${gone.host}/team/copy`);
  await assert.rejects(fetched(at.source, target), { code: 'UNAVAILABLE' });
  const asked = gone.requests.length;
  await assert.rejects(fetched(at.source, other), {
    code: 'UNAVAILABLE',
    message: new RegExp(`^blob ${other.digest} .* ${gone.host}/team/copy: GET `),
  });
  assert.equal(gone.requests.length, asked);
  assert.equal(at.retries(), 1);
});

test('a blob comes from the next repository where one does not have it, or all of it', async () => {
  const asked: (string | undefined)[] = [];
  await using half = await serve((request, response) => {
    if (request.url === '/v2/') response.end();
    else if (request.headers.range !== undefined) response.writeHead(404).end();
    else {
      response.writeHead(200, { 'content-length': BYTES.byteLength });
      response.write(BYTES.subarray(0, 4), () => setImmediate(() => response.destroy()));
    }
  });
  await using whole = await serve((request, response) => {
    if (request.url === '/v2/') response.end();
    else {
      asked.push(request.headers.range);
      response.end(BYTES);
    }
  });
  await using at = await bench(`${half.host}/app`, `${whole.host}/app`);
  assert.deepEqual(await fetched(at.source, target), BYTES);
  assert.equal(asked.length, 1);
});
