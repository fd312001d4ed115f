/**
 * Where compiled code is kept. It is executed as it is found, so that is where only this user
 * writes: not below $TMPDIR, nor in the home directory of whoever called sudo.
 * @returns `undefined` for a user without an entry in the password file, who has no home
 */
export function compiledDirectory(): string | undefined {
  // Not imported: built, an import of Node's modules is one of the chunk that all commands share.
  const { userInfo } = process.getBuiltinModule('node:os');
  const path = process.getBuiltinModule('node:path');
  try {
    return path.join(userInfo().homedir, '.cache', 'mica', 'compiled');
  } catch {
    return undefined;
  }
}
