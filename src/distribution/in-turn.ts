import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Answers the requests of one connection one after the other. A client may send a thousand at once,
 * and Node hands on all that have come: an open file and buffers for each, of which only the first
 * can be sent, are more than this process has.
 * @param answer - never rejects
 */
export function inTurn(
  answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): RequestListener {
  const turns = new WeakMap<Socket, Promise<void>>();
  const take = async (
    before: Promise<void> | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    await before;
    // The connection ended with the answer before: nobody is there to take another one.
    if (response.socket === null) return;
    await answer(request, response);
    if (!response.closed) await new Promise((resolve) => response.once('close', resolve));
  };
  return (request, response) => {
    const { socket } = request;
    turns.set(socket, take(turns.get(socket), request, response));
  };
}
