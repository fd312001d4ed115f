import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { addAbortSignal } from 'node:stream';
import type { Digest } from '../oci/digest.ts';
import type { RegistryWriter } from './backend/backend.ts';
import { bodyOf, continueIfAsked, type Exchange, Refusal, sendEmpty } from './exchange.ts';
import { parseChunkRange } from './range.ts';
import { checkDigest, checkName } from './router.ts';
import type { Upload } from './upload.ts';
import type { Uploads } from './uploads.ts';

/** What the verbs of an upload work with. */
export interface PushContext {
  readonly writer: RegistryWriter;
  readonly uploads: Uploads;
}

/** POST: a cross-repository mount, a whole blob in one request, or a new upload. */
export async function startUpload(
  exchange: Exchange,
  { writer, uploads }: PushContext,
  name: string,
): Promise<void> {
  const { query } = exchange;
  const [mount, from, digest] = [query.get('mount'), query.get('from'), query.get('digest')];
  if (mount !== null && from !== null) {
    const blob = checkDigest(mount);
    if (await writer.mountBlob(name, blob, checkName(from)))
      return sendCreated(exchange, name, blob);
  }
  if (digest !== null && mount === null)
    return await pushWhole(exchange, { writer, uploads }, name, checkDigest(digest));

  const upload = await uploads.open(name);
  sendProgress(exchange, upload, 202, {
    ...(uploads.minChunkLength > 1 && { 'OCI-Chunk-Min-Length': uploads.minChunkLength }),
  });
}

/** GET: how much of the blob is here. */
export async function uploadStatus(
  exchange: Exchange,
  { uploads }: PushContext,
  name: string,
  id: string,
): Promise<void> {
  await uploads.get(name, id).settle();
  // It may be complete by now.
  sendProgress(exchange, uploads.get(name, id), 204);
}

/** PATCH: a chunk at a stated offset, or a stream that goes on where the last one ended. */
export async function appendToUpload(
  exchange: Exchange,
  { uploads }: PushContext,
  name: string,
  id: string,
): Promise<void> {
  const upload = uploads.get(name, id);
  await upload.exclusive((signal) => receive(exchange, uploads, upload, signal));
  sendProgress(exchange, upload, 202);
}

/** PUT: the last chunk or the whole blob, if there is a body, and the digest of all of it. */
export async function completeUpload(
  exchange: Exchange,
  context: PushContext,
  name: string,
  id: string,
): Promise<void> {
  const upload = context.uploads.get(name, id);
  const digest = checkDigest(exchange.query.get('digest') ?? '');
  await upload.exclusive(async (signal) => {
    // Cut off in here, the upload stays: the client resumes. What follows ends it either way.
    await receive(exchange, context.uploads, upload, signal);
    await adopt(context, upload, digest);
  });
  sendCreated(exchange, name, digest);
}

/** DELETE: forgets the upload. */
export async function cancelUpload(
  exchange: Exchange,
  { uploads }: PushContext,
  name: string,
  id: string,
): Promise<void> {
  await uploads.discard(uploads.get(name, id));
  sendEmpty(exchange, 204);
}

async function pushWhole(
  exchange: Exchange,
  context: PushContext,
  name: string,
  digest: Digest,
): Promise<void> {
  const upload = await context.uploads.open(name);
  try {
    await upload.exclusive(async (signal) => {
      await receive(exchange, context.uploads, upload, signal);
      await adopt(context, upload, digest);
    });
  } finally {
    // Nobody was told its address, so nobody can resume it.
    await context.uploads.discard(upload);
  }
  sendCreated(exchange, name, digest);
}

async function adopt(
  { writer, uploads }: PushContext,
  upload: Upload,
  digest: Digest,
): Promise<void> {
  try {
    await upload.complete(digest);
    await writer.putBlob(upload.repository, { digest, size: upload.offset }, upload.path);
  } finally {
    await uploads.end(upload);
  }
}

/** Takes a request's body as the next bytes of `upload`. */
async function receive(
  { request, response }: Exchange,
  uploads: Uploads,
  upload: Upload,
  signal: AbortSignal,
): Promise<void> {
  const expected = expectedLength(request, upload);
  if (expected === 0) return;
  if (upload.short)
    throw new Refusal(
      400,
      'SIZE_INVALID',
      `only the last chunk may be smaller than ${uploads.minChunkLength} bytes`,
    );
  continueIfAsked(request, response);
  const [before, hash] = [upload.offset, upload.hashState()];
  try {
    await upload.append(bodyOf(addAbortSignal(signal, request)), signal);
  } catch (error) {
    if (error instanceof Refusal && error.status === 413) await uploads.end(upload);
    throw signal.aborted ? signal.reason : error;
  }
  const received = upload.offset - before;
  if (expected !== undefined && received !== expected) {
    await upload.rollBack(before, hash);
    throw new Refusal(400, 'SIZE_INVALID', `${received} bytes came, ${expected} were announced`);
  }
  if (received < uploads.minChunkLength) upload.short = true;
}

/** Bytes that the headers announce; `undefined` when they do not tell. */
function expectedLength({ headers }: IncomingMessage, upload: Upload): number | undefined {
  const length =
    headers['transfer-encoding'] === undefined ? Number(headers['content-length'] ?? 0) : undefined;
  const text = headers['content-range'];
  if (length === 0 || text === undefined) return length;
  const range = parseChunkRange(text);
  if (!range)
    throw new Refusal(
      400,
      'BLOB_UPLOAD_INVALID',
      `Content-Range ${JSON.stringify(text)} is not <first byte>-<last byte>`,
    );
  if (range.start !== upload.offset)
    throw new Refusal(
      416,
      'BLOB_UPLOAD_INVALID',
      `the next byte is ${upload.offset}, not ${range.start}`,
      progressHeaders(upload),
    );
  const size = range.end - range.start;
  if (length !== undefined && length !== size)
    throw new Refusal(
      400,
      'SIZE_INVALID',
      `Content-Range spans ${size} bytes, Content-Length says ${length}`,
    );
  return size;
}

/** An empty upload is `0-0`, as one of a single byte is: the protocol has no other spelling. */
const progressHeaders = (upload: Upload): OutgoingHttpHeaders => ({
  Location: `/v2/${upload.repository}/blobs/uploads/${upload.id}`,
  Range: `0-${Math.max(0, upload.offset - 1)}`,
  'Docker-Upload-UUID': upload.id,
});

function sendProgress(
  exchange: Exchange,
  upload: Upload,
  status: number,
  headers: OutgoingHttpHeaders = {},
): void {
  sendEmpty(exchange, status, { ...progressHeaders(upload), ...headers });
}

function sendCreated(exchange: Exchange, name: string, digest: Digest): void {
  sendEmpty(exchange, 201, {
    Location: `/v2/${name}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
  });
}
