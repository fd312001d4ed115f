import { addressOf, syscall } from './binding.ts';
import { sliceBytes } from './byte-string.ts';
import { checked } from './errno.ts';
import { NR } from './syscalls.ts';

/** Names in the open directory `fd` (not an `O_PATH` one) as byte strings, unsorted, without `.` and `..`. */
export function readNames(fd: number): string[] {
  const names: string[] = [];
  for (;;) {
    const length = checked(
      syscall(NR.getdents64, fd, addressOf(buffer), buffer.length),
      'readdir',
      '',
    );
    if (length === 0) return names;
    for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
      const start = at + 19;
      const name = sliceBytes(buffer, start, buffer.indexOf(0, start));
      if (name !== '.' && name !== '..') names.push(name);
    }
  }
}

const buffer = Buffer.allocUnsafeSlow(1 << 16);
