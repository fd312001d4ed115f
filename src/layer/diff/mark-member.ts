import { WHITEOUT_PREFIX } from '../../oci/whiteout.ts';
import type { NewEntry } from '../../tar/write.ts';

/** The name of the member that deletes `path`: `a/.wh.b` for `a/b`. */
export function whiteoutOf(path: string): string {
  const slash = path.lastIndexOf('/') + 1;
  return path.slice(0, slash) + WHITEOUT_PREFIX + path.slice(slash);
}

/** A member that has a name and nothing else, as whiteouts and opaque marks are written. */
export const mark = (name: string): NewEntry => ({
  type: 'file',
  name,
  linkName: '',
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  mtimeNs: 0,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: undefined,
  sparse: undefined,
});
