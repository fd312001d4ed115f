import { rmSync } from 'node:fs';
import { addressOf, syscall } from './binding.ts';
import { close } from './at.ts';
import { toBytes, writeBytes } from './byte-string.ts';
import { checked, kernelError } from './errno.ts';
import { NR } from './syscalls.ts';

/**
 * Receiving an open file from another process over a Unix socket, which Node cannot: the way an OCI
 * runtime hands out the terminal it made for a container.
 */

const AF_UNIX = 1;
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CMSG_CLOEXEC = 0x40000000;
const O_CLOEXEC = 0o2000000;
/** Of `sockaddr_un`. */
const PATH_ROOM = 108;
const ENAMETOOLONG = 36;
const EPROTO = 71;

export interface FdReceiver extends Disposable {
  /** The file that the first client has sent. @throws UNAVAILABLE when nobody connected yet */
  receive(): number;
}

/** Listens at `path`, of at most 107 bytes; removes it when disposed of. */
export function receiveFdAt(path: string): FdReceiver {
  const address = Buffer.alloc(2 + PATH_ROOM);
  address.writeUInt16LE(AF_UNIX, 0);
  const bytes = toBytes(path);
  if (bytes.length >= PATH_ROOM) throw kernelError(ENAMETOOLONG, 'bind', bytes);
  writeBytes(address, bytes, 2);
  const listener = checked(
    syscall(NR.socket, AF_UNIX, SOCK_STREAM_NONBLOCK_CLOEXEC, 0),
    'socket',
    bytes,
  );
  let bound = false;
  const dispose = (): void => {
    if (bound) rmSync(path, { force: true });
    bound = false;
    close(listener);
  };
  try {
    checked(syscall(NR.bind, listener, addressOf(address), address.length), 'bind', bytes);
    bound = true;
    checked(syscall(NR.listen, listener, 1), 'listen', bytes);
  } catch (error) {
    dispose();
    throw error;
  }
  let open = true;
  return {
    receive: () => acceptAndReceive(listener, bytes),
    [Symbol.dispose]() {
      if (open) dispose();
      open = false;
    },
  };
}

function acceptAndReceive(listener: number, subject: string): number {
  const client = checked(syscall(NR.accept4, listener, 0, 0, O_CLOEXEC), 'accept', subject);
  try {
    return receiveFd(client, subject);
  } finally {
    close(client);
  }
}

/** One `msghdr` with one byte-vector of data, which is the terminal's name, and room for one descriptor. */
function receiveFd(socket: number, subject: string): number {
  const data = Buffer.alloc(4096);
  const control = Buffer.alloc(24);
  const vector = Buffer.alloc(16);
  vector.writeBigUInt64LE(BigInt(addressOf(data)), 0);
  vector.writeBigUInt64LE(BigInt(data.length), 8);
  const message = Buffer.alloc(56);
  message.writeBigUInt64LE(BigInt(addressOf(vector)), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(BigInt(addressOf(control)), 32);
  message.writeBigUInt64LE(BigInt(control.length), 40);
  const read = syscall(NR.recvmsg, socket, addressOf(message), MSG_CMSG_CLOEXEC);
  checked(read, 'recvmsg', subject);
  const isDescriptor =
    message.readBigUInt64LE(40) >= 20n &&
    control.readUInt32LE(8) === SOL_SOCKET &&
    control.readUInt32LE(12) === SCM_RIGHTS;
  if (!isDescriptor) throw kernelError(EPROTO, 'recvmsg', subject);
  return control.readInt32LE(16);
}
