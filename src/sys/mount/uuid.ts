import { AT_FDCWD, close, O_DIRECTORY, O_RDONLY, openat } from '../at.ts';
import { addressOf, syscall } from '../binding.ts';
import { toBytes } from '../byte-string.ts';
import { NR } from '../syscalls.ts';

/** _IOR(0x15, 0, struct fsuuid2): a length byte and 16 bytes. Linux 6.9. */
const FS_IOC_GETFSUUID = 0x8011_1500;
const UUID_SIZE = 16;

/** UUID of the file system that directory `path` is on, as 32 hex digits; `undefined` where the kernel does not tell. */
export function fileSystemUuid(path: string): string | undefined {
  const fd = openat(AT_FDCWD, toBytes(path), O_RDONLY | O_DIRECTORY);
  try {
    const answer = Buffer.alloc(1 + UUID_SIZE);
    const result = syscall(NR.ioctl, fd, FS_IOC_GETFSUUID, addressOf(answer));
    if (result < 0 || answer[0] !== UUID_SIZE) return undefined;
    return answer.toString('hex', 1);
  } finally {
    close(fd);
  }
}
