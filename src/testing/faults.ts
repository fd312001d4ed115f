import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes } from '../io/bytes.ts';
import { type Answer, Cut, type Fault } from './fault-proxy.ts';

export type { Fault };

/** The connection ends after `bytes` bytes of the answer's body. */
export const cut = (bytes: number, reset = false): Fault => ({
  name: 'cut',
  body: (body) => until(body, bytes, () => Promise.reject(new Cut(reset))),
});

/** The connection ends after `bytes` bytes of the request's body. */
export const cutUpload = (bytes: number): Fault => ({
  name: 'cutUpload',
  upload: (body) => until(body, bytes, () => Promise.reject(new Cut())),
});

/** Nothing more comes after `bytes` bytes of the answer's body; the connection stays open. */
export const stall = (bytes: number): Fault => ({
  name: 'stall',
  body: (body, { signal }) =>
    until(body, bytes, () => sleep(2 ** 31 - 1, undefined, { signal, ref: false })),
});

/** The request is forwarded after `milliseconds`. */
export const delay = (milliseconds: number): Fault => ({
  name: 'delay',
  before: ({ signal }) => sleep(milliseconds, undefined, { signal }),
});

/** The byte at `position` of the blob is another one. */
export const corrupt = (position: number): Fault => ({
  name: 'corrupt',
  async *body(body, { start }) {
    let at = start;
    for await (const chunk of body) {
      const index = position - at;
      at += chunk.byteLength;
      if (index >= 0 && index < chunk.byteLength) chunk[index]! ^= 0x40;
      yield chunk;
    }
  },
});

/** An answer that is well-formed, but ends after `bytes` bytes of its body. */
export const truncate = (bytes: number): Fault => ({
  name: 'truncate',
  head: ({ status, headers }) => ({ status, headers: { ...headers, 'content-length': bytes } }),
  body: (body) => until(body, bytes, async () => {}),
});

/** A well-formed answer with `bytes` more bytes than the blob has. */
export const extend = (bytes: number): Fault => ({
  name: 'extend',
  head: ({ status, headers }) => ({
    status,
    headers: { ...headers, 'content-length': Number(headers['content-length']) + bytes },
  }),
  async *body(body) {
    yield* body;
    yield Buffer.alloc(bytes, 'x');
  },
});

/** `Content-Length` says `delta` bytes more (or fewer) than come; then the connection ends. */
export const misstateLength = (delta: number): Fault => ({
  name: 'misstateLength',
  head: ({ status, headers }) => ({
    status,
    headers: { ...headers, 'content-length': Number(headers['content-length']) + delta },
  }),
});

/** No `Content-Length`: the body comes in chunked encoding. */
export const chunked = (): Fault => ({
  name: 'chunked',
  head: ({ status, headers: { 'content-length': _, ...headers } }) => ({ status, headers }),
});

/** `bytesPerSecond`, in small pieces. */
export const trickle = (bytesPerSecond: number): Fault => ({
  name: 'trickle',
  async *body(body, { signal }) {
    const piece = Math.max(1, Math.floor(bytesPerSecond / 50));
    for await (const chunk of body)
      for (let at = 0; at < chunk.byteLength; at += piece) {
        await sleep(20, undefined, { signal });
        yield chunk.subarray(at, at + piece);
      }
  },
});

/** This answer, and the upstream is not asked. */
export const respond = (status: number, headers: Answer['headers'] = {}, body?: string): Fault => ({
  name: `respond ${status}`,
  answer: () => ({
    status,
    headers: { 'content-length': Buffer.byteLength(body ?? ''), ...headers },
    body,
  }),
});

/** A page for people, with status 200: captive portals and misplaced proxies. */
export const html = (): Fault =>
  respond(200, { 'content-type': 'text/html' }, '<!doctype html><title>Welcome</title>');

/** @param retryAfter seconds, or an HTTP date */
export const tooManyRequests = (retryAfter?: string): Fault =>
  respond(429, retryAfter === undefined ? {} : { 'retry-after': retryAfter });

export const unauthorized = (challenge: string): Fault =>
  respond(
    401,
    { 'www-authenticate': challenge, 'content-type': 'application/json' },
    '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}',
  );

/** The same path and query on another origin. */
export const redirectTo = (origin: string, status = 307): Fault => ({
  name: 'redirect',
  answer: ({ url }) => ({
    status,
    headers: { location: `${origin}${url ?? ''}`, 'content-length': 0 },
  }),
});

/** The whole blob, whatever range was asked for. */
export const ignoreRange = (): Fault => ({
  name: 'ignoreRange',
  ask: ({ range: _, ...headers }) => headers,
});

/** The right bytes under a `Content-Range` that names others. */
export const shiftContentRange = (by: number): Fault => ({
  name: 'shiftContentRange',
  head: ({ status, headers }) => ({
    status,
    headers: {
      ...headers,
      'content-range': String(headers['content-range']).replace(
        /(\d+)-(\d+)/,
        (_, first: string, last: string) => `${Number(first) + by}-${Number(last) + by}`,
      ),
    },
  }),
});

/** One header of the answer is another; `undefined` takes it away. */
export const header = (name: string, value: string | undefined): Fault => ({
  name: `header ${name}`,
  head: ({ status, headers: { [name]: _, ...headers } }) => ({
    status,
    headers: value === undefined ? headers : { ...headers, [name]: value },
  }),
});

async function* until(body: Bytes, bytes: number, then: () => Promise<unknown>): Bytes {
  let left = bytes;
  for await (const chunk of body) {
    if (chunk.byteLength < left) {
      left -= chunk.byteLength;
      yield chunk;
      continue;
    }
    if (left > 0) yield chunk.subarray(0, left);
    await then();
    return;
  }
}
