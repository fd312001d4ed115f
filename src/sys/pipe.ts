import { addressOf, syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const O_CLOEXEC = 0o2000000;
const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;

/** A pipe: what Node gives to children are sockets, which `open("/dev/stdout")` refuses. */
export function pipe(): { readonly read: number; readonly write: number } {
  const fds = new Int32Array(2);
  checked(syscall(NR.pipe2, addressOf(new Uint8Array(fds.buffer)), O_CLOEXEC), 'pipe', '');
  return { read: fds[0]!, write: fds[1]! };
}

/** Two sockets that are connected to each other. */
export function socketPair(): readonly [number, number] {
  const fds = new Int32Array(2);
  const place = addressOf(new Uint8Array(fds.buffer));
  checked(syscall(NR.socketpair, AF_UNIX, SOCK_STREAM_CLOEXEC, 0, place), 'socketpair', '');
  return [fds[0]!, fds[1]!];
}
