import type { Socket } from 'node:net';
import {
  controlFrame,
  frame,
  FrameReader,
  type FromMonitor,
  STREAM,
  type ToMonitor,
} from '../frame.ts';

/** What clients can do to a container. */
export interface Controls {
  /** @returns `false` to be asked for no more until `inputReady` */
  input(data: Buffer): boolean;
  inputEnd(): void;
  resize(rows: number, columns: number): void;
  /** Nobody waits any more, or somebody does: output is to flow, or to rest. */
  flow(flowing: boolean): void;
}

/**
 * Everybody connected to a container. Output goes to all of them at the pace of the slowest: nothing
 * is lost, and no more than what is on its way is kept in memory.
 */
export class Clients {
  readonly #controls: Controls;
  readonly #all = new Set<Client>();
  readonly #slow = new Set<Client>();
  #last: Buffer | undefined;

  constructor(controls: Controls) {
    this.#controls = controls;
  }

  /** @param output whether it gets output; otherwise its first frame tells */
  add(socket: Socket, output: boolean): void {
    const client: Client = { socket, output };
    const reader = new FrameReader();
    socket.on('data', (chunk) => {
      try {
        for (const { stream, data } of reader.push(chunk)) this.#receive(client, stream, data);
      } catch {
        socket.destroy();
      }
    });
    socket.on('drain', () => this.#caughtUp(client));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#all.delete(client);
      this.#caughtUp(client);
    });
    this.#all.add(client);
    if (this.#last !== undefined) socket.end(this.#last);
  }

  output(stream: number, data: Buffer): void {
    let bytes: Buffer | undefined;
    for (const client of this.#all) {
      if (!client.output) continue;
      bytes ??= frame(stream, data);
      if (client.socket.write(bytes) || client.socket.destroyed) continue;
      if (this.#slow.size === 0) this.#controls.flow(false);
      this.#slow.add(client);
    }
  }

  tell(document: FromMonitor): void {
    const bytes = controlFrame(document);
    for (const { socket } of this.#all) socket.write(bytes);
  }

  /** Says the last word to all who are or will be connected; each leaves when it has taken everything. */
  end(document: FromMonitor): void {
    this.#last = controlFrame(document);
    for (const { socket } of this.#all) socket.end(this.#last);
  }

  inputReady(): void {
    for (const { socket } of this.#all) socket.resume();
  }

  #receive(client: Client, stream: number, data: Buffer): void {
    if (stream === STREAM.stdin) {
      if (data.length === 0) this.#controls.inputEnd();
      else if (!this.#controls.input(data)) client.socket.pause();
      return;
    }
    if (stream !== STREAM.control) return;
    const message = JSON.parse(data.toString()) as ToMonitor;
    if (message.type === 'attach') client.output = message.output;
    else if (message.type === 'resize') this.#controls.resize(message.rows, message.columns);
  }

  #caughtUp(client: Client): void {
    if (this.#slow.delete(client) && this.#slow.size === 0) this.#controls.flow(true);
  }
}

interface Client {
  readonly socket: Socket;
  output: boolean;
}
