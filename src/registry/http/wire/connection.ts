import { connect as connectPlain, isIP, type OnReadOpts, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { networkFailure } from '../failure.ts';
import { Ring } from './ring.ts';

export interface ConnectionTimeouts {
  /** In milliseconds. */
  readonly connect: number;
  readonly idle: number;
}

const RING = 1024 * 1024;
/** The socket rests while less than this is free, and goes on when half of it is. */
const LOW = 128 * 1024;

/** One socket whose bytes are pulled, through memory that is used again and again. */
export class Connection {
  readonly #ring = new Ring(RING);
  readonly #timeouts: ConnectionTimeouts;
  #socket: Socket | undefined;
  #wake: (() => void) | undefined;
  #resting = false;
  /** How often something came. */
  #arrivals = 0;
  #ended = false;
  #failure: Error | undefined;

  private constructor(timeouts: ConnectionTimeouts) {
    this.#timeouts = timeouts;
  }

  static async open(
    url: URL,
    tls: ConnectionOptions,
    timeouts: ConnectionTimeouts,
    signal?: AbortSignal,
  ): Promise<Connection> {
    const connection = new Connection(timeouts);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = await connection.#start(url, tls, resolve);
    const late = networkFailure('UND_ERR_CONNECT_TIMEOUT', 'no connection within the time allowed');
    const timer = setTimeout(() => socket.destroy(late), timeouts.connect);
    const abort = (): void => void socket.destroy(signal?.reason as Error);
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('error', reject);
    try {
      signal?.throwIfAborted();
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.off('error', reject);
    }
    socket.setTimeout(timeouts.idle);
    return connection;
  }

  /** Neither ended nor with bytes that nobody asked for. */
  get reusable(): boolean {
    return !this.#ended && this.#failure === undefined && this.#ring.empty;
  }

  write(text: string): void {
    this.#socket?.write(text, 'latin1');
  }

  /** Bytes that came, lent until the next call. `undefined`: the other side has ended. */
  async take(): Promise<Buffer | undefined> {
    for (;;) {
      const piece = this.#ring.take();
      if (this.#resting && this.#ring.free >= RING / 2) this.#rest(false);
      if (piece) return piece;
      if (this.#failure) throw this.#failure;
      if (this.#ended) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  /** Whoever waits for bytes gets `reason`. */
  destroy(reason: Error): void {
    this.#failure ??= reason;
    this.#socket?.destroy();
    this.#wake?.();
  }

  /** Idle connections neither time out by themselves nor keep the process alive. */
  park(parked: boolean): void {
    this.#socket?.setTimeout(parked ? 0 : this.#timeouts.idle);
    if (parked) this.#socket?.unref();
    else this.#socket?.ref();
  }

  async #start(url: URL, tls: ConnectionOptions, onConnect: () => void): Promise<Socket> {
    const secure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (secure ? 443 : 80));
    const onread: OnReadOpts = {
      buffer: () => this.#ring.region(),
      callback: (length, region) => this.#keep(region as Buffer, length),
    };
    const target = { host, port, onread };
    const options = {
      ...tls,
      ...target,
      ...(isIP(host) === 0 && { servername: host }),
      ALPNProtocols: ['http/1.1'],
    };
    const socket = secure
      ? (await import('node:tls')).connect(options, onConnect)
      : connectPlain(target, onConnect);
    this.#socket = socket.setNoDelay();
    const failed = (error: Error): void => {
      this.#failure ??= error;
      this.#wake?.();
    };
    socket.on('error', failed);
    socket.on('timeout', () => this.#judge());
    for (const event of ['end', 'close'])
      socket.on(event, () => {
        this.#ended = true;
        this.#wake?.();
      });
    return socket;
  }

  /** @returns whether the socket may go on */
  #keep(region: Buffer, length: number): boolean {
    this.#arrivals++;
    this.#ring.written(region, length);
    this.#wake?.();
    if (this.#ring.free >= LOW) return true;
    this.#rest(true);
    return false;
  }

  /**
   * The time is over. Where this process had no turn for so long, what came meanwhile is read in this
   * turn of the loop, after its timers: then the time begins anew by itself.
   */
  #judge(): void {
    const before = this.#arrivals;
    setImmediate(() => {
      if (this.#arrivals === before && !this.#resting)
        this.destroy(
          networkFailure('UND_ERR_BODY_TIMEOUT', 'nothing came within the time allowed'),
        );
    });
  }

  /** A reader who takes his time must not look like a server that stalls. */
  #rest(resting: boolean): void {
    this.#resting = resting;
    this.#socket?.setTimeout(resting ? 0 : this.#timeouts.idle);
    if (!resting) this.#socket?.resume();
  }
}
