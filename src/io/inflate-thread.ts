import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { constants } from 'node:zlib';
import { type Inflatable, type Inflater, OUTPUT_SIZE, ZSTD_WINDOW_LOG_MAX } from './inflater.ts';

interface Job {
  readonly kind: Inflatable;
  readonly port: MessagePort;
  /** 1 when an answer has been sent. */
  readonly answered: Int32Array;
  readonly chunkSize: number;
  readonly params: Readonly<Record<number, number>>;
}

type Question = { readonly input: Uint8Array } | 'more' | 'end';
interface Answer {
  readonly output?: Uint8Array;
  readonly error?: string;
}

const NOTHING = new Uint8Array();
/** In milliseconds; more than inflating one chunk can take on any machine. */
const PATIENCE = 60_000;

/**
 * Inflates with zlib's public streams alone. They are asynchronous, so they run on a thread of
 * their own that this one waits for: slower, but it works on any Node.
 */
export function threadInflater(kind: Inflatable): Inflater {
  const { port1, port2 } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };
  const job: Job = { kind, port: port2, answered, chunkSize: OUTPUT_SIZE, params };
  const source = `(${serve.toString()})(require)`;
  const worker = new Worker(source, { eval: true, workerData: job, transferList: [port2] });
  worker.unref();
  const ask = (question: Question): Uint8Array | undefined => {
    Atomics.store(answered, 0, 0);
    port1.postMessage(question);
    Atomics.wait(answered, 0, 0, PATIENCE);
    const answer = receiveMessageOnPort(port1)?.message as Answer | undefined;
    if (answer?.error !== undefined) throw new Error(answer.error);
    if (answer === undefined) throw new Error('the thread that inflates does not answer');
    return answer.output;
  };
  /** Output that did not fit. */
  let left: Uint8Array = NOTHING;
  return {
    step(input, into) {
      const used = left.length > 0 ? 0 : input.length;
      if (left.length === 0)
        left = ask(used > 0 ? { input: new Uint8Array(input) } : 'more') ?? NOTHING;
      const piece = left.subarray(0, into.length);
      into.set(piece);
      left = left.subarray(piece.length);
      return { used, made: piece.length };
    },
    finish: () => void ask('end'),
    close() {
      port1.close();
      void worker.terminate();
    },
  };
}

/** Runs in the other thread, as text: it may use nothing but what it is given. */
function serve(load: NodeJS.Require): void {
  const { workerData } = load('node:worker_threads') as typeof import('node:worker_threads');
  const zlib = load('node:zlib') as typeof import('node:zlib');
  const { kind, port, answered, chunkSize, params } = workerData as Job;
  let stream = open();
  let [asked, busy] = [false, false];
  let input: Uint8Array = new Uint8Array();
  let start = 0;
  let error: string | undefined;

  function open() {
    const opened =
      kind === 'gzip'
        ? zlib.createGunzip({ chunkSize })
        : zlib.createZstdDecompress({ chunkSize, params });
    return opened.on('readable', answer).on('error', idle).on('end', ended);
  }
  function answer(): void {
    if (!asked) return;
    const output = error === undefined ? (stream.read() as Uint8Array | null) : null;
    // Reading may have ended the stream, and answered.
    if (!asked || (output === null && busy && error === undefined)) return;
    asked = false;
    port.postMessage(error === undefined ? { output: output ?? undefined } : { error });
    Atomics.store(answered, 0, 1);
    Atomics.notify(answered, 0);
  }
  function idle(reason?: Error | null): void {
    error ??= reason?.message;
    busy = false;
    answer();
  }
  /** Streams of zstd end with their first frame if more follows it at once. */
  function ended(): void {
    const rest = input.subarray(stream.bytesWritten - start);
    if (kind === 'gzip' || rest.length === 0) return idle();
    stream = open();
    write(rest);
  }
  function write(bytes: Uint8Array): void {
    [busy, input, start] = [true, bytes, stream.bytesWritten];
    const written = stream;
    stream.write(bytes, (reason) => {
      const isUsed = stream.bytesWritten - start === bytes.length;
      if (reason || (written === stream && (isUsed || stream.readableEnded))) idle(reason);
    });
  }
  port.on('message', (question: Question) => {
    asked = true;
    if (question === 'end') {
      busy = !stream.readableEnded;
      stream.end();
    } else if (question !== 'more') write(question.input);
    answer();
  });
}
