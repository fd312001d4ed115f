/**
 * Where compiled code is kept. It is executed as it is found, so that is where only this user
 * writes: not below $TMPDIR or $HOME, which whoever called sudo may have set. Made if it is not there.
 * @returns `undefined` for a user who has no such place: without a home, or with one that others write in
 */
export function compiledDirectory(): string | undefined {
  // Not imported: built, an import of Node's modules is one of the chunk that all commands share.
  const { userInfo } = process.getBuiltinModule('node:os');
  const path = process.getBuiltinModule('node:path');
  try {
    const { homedir } = userInfo();
    // The password file may say anything, and nothing: that would be the working directory.
    if (!path.isAbsolute(homedir)) return undefined;
    return privateDirectory(path.join(homedir, '.cache', 'mica', 'compiled'));
  } catch {
    return undefined;
  }
}

/** Write permission of group and others, and that none of them renames or removes what is not his. */
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Makes a directory, unless it is there.
 * @returns its real path; `undefined` when somebody besides this user and root could put something
 * in it, or another in its place
 */
export function privateDirectory(directory: string): string | undefined {
  const { lstatSync, mkdirSync, realpathSync } = process.getBuiltinModule('node:fs');
  const { posix } = process.getBuiltinModule('node:path');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const user = process.geteuid?.();
  // Where there are no such users, profiles are private by other means.
  if (user === undefined) return directory;
  const real = realpathSync(directory);
  for (let path = real; ; path = posix.dirname(path)) {
    const { uid, mode } = lstatSync(path);
    if (uid !== user && uid !== 0) return undefined;
    if ((mode & OTHERS_WRITE) !== 0 && ((mode & STICKY) === 0 || path === real)) return undefined;
    if (path === '/') return real;
  }
}
