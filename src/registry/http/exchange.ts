import type { Dispatcher } from 'undici';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Answer } from './answer.ts';
import { Body } from './body.ts';
import { networkError } from './failure.ts';

export interface HttpRequest extends Abortable {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Opened anew by each attempt; its length must be among the headers. */
  readonly body?: (() => Bytes | Uint8Array) | undefined;
  /** The chunks of the answer may be overwritten when the next one is asked for. */
  readonly lend?: boolean | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** The value of a header; several of one name joined by commas. */
  header(name: string): string | undefined;
  readonly url: URL;
  readonly body: Answer;
}

/** One request on its way through undici, by its lowest interface: pieces of the answer are handed on as they come. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly answer: Promise<HttpResponse>;
  readonly #request: HttpRequest;
  readonly #settle: PromiseWithResolvers<HttpResponse> = Promise.withResolvers();
  #controller: Dispatcher.DispatchController | undefined;
  #body: Body | undefined;

  constructor(request: HttpRequest) {
    this.#request = request;
    this.answer = this.#settle.promise;
    request.signal?.addEventListener('abort', this.#abort, { once: true });
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#request.signal?.reason;
    this.#settle.reject(reason);
    this.#body?.fail(reason);
    this.#controller?.abort(new Error('aborted'));
  };

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#request.signal?.aborted) controller.abort(new Error('aborted'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return;
    this.#body = new Body(controller);
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    };
    this.#settle.resolve({ status, url: this.#request.url, body: this.#body, header });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#body?.push(chunk);
  }

  onResponseEnd(): void {
    this.#done();
    this.#body?.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    this.#done();
    const error = networkError(cause, this.#request.method, this.#request.url);
    this.#settle.reject(error);
    this.#body?.fail(error);
  }

  #done(): void {
    this.#request.signal?.removeEventListener('abort', this.#abort);
  }
}
