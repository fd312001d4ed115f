import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { text } from 'node:stream/consumers';

/**
 * Copies of what other tests have mounted would keep it mounted for as long as the namespace lives, and
 * what is mounted is neither committed nor removed. Only here can they go: in a user namespace they are
 * locked. The octal numbers of `mountinfo` are those of `%b`.
 */
const WITHOUT_MOUNTS_OF_OTHERS = `
  while read -r _ _ _ _ target _; do
    case $target in "$1"/* | /dev/shm/*) printf '%s\\n' "$target" ;; esac
  done < /proc/self/mountinfo | tac | while read -r target; do
    umount --lazy "$(printf %b "$target")"
  done
  shift
  exec unshare -U -m -- "$@"`;

/**
 * Runs `argv` as root of a new user and mount namespace with 65,536 ids. Needs root: the ids are
 * mapped to themselves, so that all files can be read as before.
 */
export async function runInUserNamespace(
  argv: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  // A test runner inside of another would report to it, instead of running anything.
  const shell = 'echo ready && read _ && unset NODE_TEST_CONTEXT && exec "$@" 2>&1';
  const inside = ['sh', '-c', shell, 'sh', ...argv];
  const outside = ['-m', '--', 'sh', '-c', WITHOUT_MOUNTS_OF_OTHERS, 'sh', tmpdir()];
  const child = spawn('unshare', [...outside, ...inside], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  await once(child.stdout, 'readable');
  for (const map of ['uid_map', 'gid_map'])
    writeFileSync(`/proc/${child.pid}/${map}`, '0 0 65536\n');
  child.stdin.end('\n');
  const [output, [code]] = await Promise.all([text(child.stdout), exit]);
  return { code, output };
}
