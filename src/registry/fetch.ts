import { MicaError } from '../errors.ts';
import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf } from '../oci/digest.ts';
import { isHtml } from './http/client.ts';
import type { HttpResponse } from './http/exchange.ts';
import { asTransient, shown } from './http/failure.ts';
import { Retries, type RetryOptions } from './http/retry.ts';

/** One place that has the bytes; `headers` ask for a part of them. */
export interface Place {
  open(
    headers: Readonly<Record<string, string>>,
    options: Abortable & { readonly allow: readonly number[] },
  ): Promise<HttpResponse>;
}

export interface FetchBlobOptions extends Abortable, Omit<RetryOptions, 'target'> {
  readonly offset: number;
}

/** A connection that brings at least this much before it drops makes progress, in bytes. */
const PROGRESS = 64 * 1024;

/**
 * Streams `target` from the first of `places` that has it. A dropped connection is resumed where
 * it stopped, in the same place while that makes sense, then in the next.
 *
 * @throws DATA_LOSS when a place has other bytes than `target` says · UNAVAILABLE when none can be reached
 */
export async function* fetchBlob(
  places: readonly Place[],
  target: Descriptor,
  options: FetchBlobOptions,
): Bytes {
  const { signal } = options;
  let at = options.offset;
  for (const [index, place] of places.entries()) {
    const retries = new Retries({ ...options, target });
    for (;;) {
      const from = at;
      try {
        for await (const chunk of read(place, target, at, signal)) {
          at += chunk.byteLength;
          yield chunk;
        }
        return;
      } catch (error) {
        if (at - from >= PROGRESS) retries.progress();
        try {
          await retries.after(error, signal);
        } catch (final) {
          signal?.throwIfAborted();
          if (index === places.length - 1) throw final;
          break;
        }
      }
    }
  }
}

/** One connection: the bytes from `at` to the end, or an error. */
async function* read(
  place: Place,
  target: Descriptor,
  at: number,
  signal: AbortSignal | undefined,
): Bytes {
  const { size } = target;
  if (at >= size) return;
  const headers: Record<string, string> = at > 0 ? { range: `bytes=${at}-` } : {};
  const response = await place.open(headers, { signal, allow: [416] });
  const { body } = response;
  let position = at;
  try {
    let skip = checkAnswer(response, target, at);
    for await (const chunk of body) {
      const wanted = skip === 0 ? chunk : chunk.subarray(Math.min(skip, chunk.byteLength));
      skip -= chunk.byteLength - wanted.byteLength;
      position += wanted.byteLength;
      if (position > size)
        throw lost(
          response,
          target,
          `it is longer than the ${size} bytes that its descriptor says`,
        );
      if (wanted.byteLength > 0) yield wanted;
    }
  } finally {
    await body.return();
  }
  if (position < size)
    throw asTransient(
      new MicaError(
        'UNAVAILABLE',
        `GET ${shown(response.url)}: the answer ended after ${position} of ${size} bytes`,
      ),
    );
}

/** How many bytes to skip: those before `at`, from a server that ignores ranges. */
function checkAnswer(response: HttpResponse, target: Descriptor, at: number): number {
  const { status } = response;
  const { size, digest, mediaType } = target;
  if (isHtml(response) && !mediaType.startsWith('text/'))
    throw new MicaError(
      'UNAVAILABLE',
      `GET ${shown(response.url)}: the answer is a web page; is there a login page or a proxy between here and the registry?`,
    );
  const told = response.header('docker-content-digest');
  if (told?.startsWith(`${algorithmOf(digest)}:`) && told !== digest)
    throw lost(response, target, 'the registry says that it has another digest');
  if (status === 416) throw lost(response, target, `it has no byte ${at}`);
  if (status === 200) {
    const length = Number(response.header('content-length') ?? size);
    if (length > size)
      throw lost(response, target, `it has ${length} bytes, but its descriptor says ${size}`);
    return at;
  }
  const [, first, total] =
    /^bytes (\d+)-\d+\/(\d+|\*)$/i.exec(response.header('content-range') ?? '') ?? [];
  if (status !== 206 || first === undefined || Number(first) > at)
    throw new MicaError(
      'UNAVAILABLE',
      `GET ${shown(response.url)}: asked for bytes from ${at}, the answer (${status}) has others`,
    );
  if (total !== '*' && Number(total) !== size)
    throw lost(response, target, `it has ${total} bytes, but its descriptor says ${size}`);
  return at - Number(first);
}

const lost = (response: HttpResponse, { digest }: Descriptor, reason: string): MicaError =>
  new MicaError('DATA_LOSS', `GET ${shown(response.url)}: this is not ${digest}: ${reason}`);
