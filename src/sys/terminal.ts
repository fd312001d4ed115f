import { addressOf, syscall } from './binding.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

const TIOCSWINSZ = 0x5414;

/** Tells a terminal, and the programs on it, how large it is. `fd`: either end of it. */
export function setWindowSize(fd: number, rows: number, columns: number): void {
  const size = new Uint16Array([rows, columns, 0, 0]);
  checked(syscall(NR.ioctl, fd, TIOCSWINSZ, addressOf(new Uint8Array(size.buffer))), 'ioctl', '');
}
