import type { FileHandle } from 'node:fs/promises';
import { isCode } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { RegistryBackend, RegistryWriter, StoredBlob } from './backend/backend.ts';
import { type Exchange, Refusal, refuseUsed, sendEmpty } from './exchange.ts';
import { parseRange } from './range.ts';
import { openToSend, sendFile } from './send.ts';

const unknown = (name: string, digest: Digest): Refusal =>
  new Refusal(404, 'BLOB_UNKNOWN', `repository ${name} holds no blob ${digest}`);

/** Content never changes under its digest, so whoever caches it may keep it. */
const IMMUTABLE = 'max-age=31536000, immutable';

/** GET or HEAD of a blob, whole or one range of it. */
export async function getBlob(
  exchange: Exchange,
  backend: RegistryBackend,
  name: string,
  digest: Digest,
): Promise<void> {
  const { request, response } = exchange;
  const blob = await backend.blob(name, digest);
  if (!blob) throw unknown(name, digest);
  const etag = `"${digest}"`;
  const headers = {
    'Docker-Content-Digest': digest,
    'Accept-Ranges': 'bytes',
    'Cache-Control': IMMUTABLE,
    ETag: etag,
  };
  if (request.headers['if-none-match'] === etag) return sendEmpty(exchange, 304, headers);

  const asked = [undefined, etag].includes(request.headers['if-range'] as string | undefined);
  const range = asked ? parseRange(request.headers.range, blob.size) : undefined;
  if (range === 'unsatisfiable')
    throw new Refusal(416, 'SIZE_INVALID', `blob ${digest} has ${blob.size} bytes`, {
      'Content-Range': `bytes */${blob.size}`,
    });
  const { start, end } = range ?? { start: 0, end: blob.size };
  // A manifest may be asked for as a blob, and what a store holds is anybody's: never let it be rendered.
  const head = {
    ...headers,
    'Content-Type': 'application/octet-stream',
    'Content-Length': end - start,
    ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${blob.size}` }),
  };
  if (request.method === 'HEAD') {
    response.writeHead(range ? 206 : 200, head).end();
    return;
  }
  const file = (await openToSend(blob.path)) ?? (await broughtBack(exchange, backend, blob));
  if (!file) throw unknown(name, digest);
  try {
    response.writeHead(range ? 206 : 200, head);
    await sendFile(file, { start, end }, response);
  } finally {
    await file.close();
  }
}

/** A blob whose file was dropped to save space. That nothing is sent meanwhile is not the client's fault. */
async function broughtBack(
  { request: { socket } }: Exchange,
  backend: RegistryBackend,
  blob: StoredBlob,
): Promise<FileHandle | undefined> {
  const idle = socket.timeout ?? 0;
  socket.setTimeout(0);
  try {
    await backend.restore?.(blob);
  } catch (error) {
    if (isCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  } finally {
    socket.setTimeout(idle);
  }
  return openToSend(blob.path);
}

export async function deleteBlob(
  exchange: Exchange,
  writer: RegistryWriter,
  name: string,
  digest: Digest,
): Promise<void> {
  const deleted = await refuseUsed(writer.deleteBlob(name, digest));
  if (!deleted) throw unknown(name, digest);
  sendEmpty(exchange, 202);
}
