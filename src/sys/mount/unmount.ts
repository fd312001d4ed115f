import { cstring, syscall } from '../binding.ts';
import { toBytes } from '../byte-string.ts';
import { checked } from '../errno.ts';
import { NR } from '../syscalls.ts';

const UMOUNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const EINVAL = 22;
const ENOENT = 2;

/**
 * Takes the topmost mount off `target`; what is not mounted (any more) is fine.
 * @param options - `detach`: also while something uses it; then it ends with its last user
 * @throws FAILED_PRECONDITION while something uses it
 */
export function unmount(target: string, options: { readonly detach?: boolean } = {}): void {
  const flags = UMOUNT_NOFOLLOW | (options.detach ? UMOUNT_DETACH : 0);
  const result = syscall(NR.umount2, cstring(toBytes(target)), flags);
  if (result !== -EINVAL && result !== -ENOENT) checked(result, 'unmount', toBytes(target));
}
