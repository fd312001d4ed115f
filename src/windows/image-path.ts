/**
 * Paths as Windows writes them, in an image whose drive `C:` is the directory `Files`. Byte strings,
 * with `/` from the image's root.
 */

/** A path that somebody asks for: `C:\Users` as well as `/Files/Users` and `Files/Users`. */
export function imagePath(path: string): string {
  const plain = path.replaceAll('\\', '/');
  const drive = /^\/?[a-z]:/i.exec(plain)?.[0];
  if (drive !== undefined) return `/Files/${plain.slice(drive.length)}`;
  return path.startsWith('\\') ? `/Files${plain}` : plain;
}

/** What a link leads to: of any drive, the one that there is. */
export function linkTarget(target: string): string {
  const plain = target.replaceAll('\\', '/').replace(/^\/(?:\/\?|\?\?)\//, '');
  const drive = /^[a-z]:/i.exec(plain)?.[0];
  if (drive !== undefined) return `/Files/${plain.slice(drive.length)}`;
  return plain.startsWith('/') ? `/Files${plain}` : plain;
}
