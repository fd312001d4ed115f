import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type ErrorCode, isCode, MicaError } from '../errors.ts';
import type { Bytes } from '../io/bytes.ts';

/** One request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

/** @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
export type SpecCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  /** Not of the list: the registry itself failed. Docker's registry uses the same word. */
  | 'UNKNOWN';

/** A request answered with an error of the specification. Leaves this folder as HTTP only. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: SpecCode;
  readonly headers: OutgoingHttpHeaders;

  constructor(status: number, code: SpecCode, message: string, headers: OutgoingHttpHeaders = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

/** What a backend's error becomes. The handlers refuse by themselves what the specification has a code for. */
const REFUSALS: Record<ErrorCode, readonly [status: number, code: SpecCode]> = {
  INVALID_ARGUMENT: [400, 'UNSUPPORTED'],
  NOT_FOUND: [404, 'NAME_UNKNOWN'],
  ALREADY_EXISTS: [409, 'DENIED'],
  CONFLICT: [409, 'DENIED'],
  FAILED_PRECONDITION: [409, 'DENIED'],
  UNAUTHENTICATED: [401, 'UNAUTHORIZED'],
  PERMISSION_DENIED: [403, 'DENIED'],
  RESOURCE_EXHAUSTED: [507, 'UNKNOWN'],
  UNAVAILABLE: [503, 'UNKNOWN'],
  NOT_IMPLEMENTED: [501, 'UNSUPPORTED'],
  DATA_LOSS: [500, 'UNKNOWN'],
  INTERNAL: [500, 'UNKNOWN'],
};

/** The answer to any error; what is not meant for clients (paths, stacks) stays out of it. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (isFull(error)) return new Refusal(507, 'UNKNOWN', 'no space left for the upload');
  if (!(error instanceof MicaError)) return new Refusal(500, 'UNKNOWN', 'internal error');
  const [status, code] = REFUSALS[error.code];
  return new Refusal(status, code, status === 500 ? 'internal error' : error.message);
}

const isFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes(String((error as NodeJS.ErrnoException | null)?.code));

/** What a manifest still references may not be deleted; 405 is the specification's word for that. */
export const refuseUsed = (deleted: Promise<boolean>): Promise<boolean> =>
  deleted.catch((error: unknown) => {
    if (isCode(error, 'FAILED_PRECONDITION')) throw new Refusal(405, 'UNSUPPORTED', error.message);
    throw error;
  });

export function sendEmpty(
  { response }: Exchange,
  status: number,
  headers: OutgoingHttpHeaders = {},
): void {
  // 204 and 304 must not carry a length.
  const length = status === 204 || status === 304 ? {} : { 'Content-Length': 0 };
  response.writeHead(status, { ...length, ...headers }).end();
}

export function sendJson(
  { request, response }: Exchange,
  status: number,
  body: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': bytes.byteLength,
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function sendRefusal(exchange: Exchange, { status, code, message, headers }: Refusal): void {
  sendJson(exchange, status, { errors: [{ code, message }] }, headers);
}

/** The document that a request's body is, never more than `limit` bytes of it. */
export async function readBody(
  { request, response }: Exchange,
  limit: number,
): Promise<Uint8Array> {
  const refuse = (): never => {
    throw new Refusal(413, 'SIZE_INVALID', `the document is larger than ${limit} bytes`);
  };
  if (Number(request.headers['content-length'] ?? 0) > limit) refuse();
  continueIfAsked(request, response);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(request)) {
    size += chunk.byteLength;
    if (size > limit) refuse();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A request's body. Leaving the loop early does not cut the connection, so an error can still be told. */
export const bodyOf = (request: IncomingMessage): Bytes =>
  request.iterator({ destroyOnReturn: false });

/** A client that sent `Expect: 100-continue` waits with the body until the request has been judged. */
export function continueIfAsked(request: IncomingMessage, response: ServerResponse): void {
  if (expectsContinue(request)) response.writeContinue();
}

export const expectsContinue = ({ headers }: IncomingMessage): boolean =>
  /^100-continue$/i.test(headers.expect ?? '');
