/**
 * Runs zfs-fuse, and wakes it: now and then its threads wait for one that waits for a request of a single
 * file system (`docs/drivers/zfs.md`). It is asked for something by each then. A process of its own, since
 * who uses a daemon that hangs cannot do anything. SIGTERM ends both.
 *
 * What happened is appended to the file that its argument names, a line each: `woken`, `hung`
 * (it was not to be woken, and has been killed), `died` (by itself).
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { abortZfsFuse, sleepingReader, zfsFuseMounts } from './zfs-fuse-mounts.ts';

/** In milliseconds. */
const [PERIOD, PATIENCE] = [250, 8_000];

const report = process.argv[2]!;
const tell = (what: string): void => appendFileSync(report, `${what}\n`);

const [program, ...words] =
  'setpriv --pdeathsig KILL zfs-fuse --no-daemon --enable-xattr --no-kstat-mount'.split(' ');
const daemon = spawn(program!, words, { stdio: 'ignore' });
let expected = false;
process.once('SIGTERM', () => {
  expected = true;
  daemon.kill('SIGTERM');
  setTimeout(end, PATIENCE);
});
daemon.once('exit', (code, signal) => {
  if (!expected) tell(`died (${signal ?? code})`);
  process.exit(expected ? 0 : 1);
});

let asleep: { readonly task: string; readonly since: number; woken?: true } | undefined;
const asked = new Set<string>();

setInterval(() => {
  const task = sleepingReader(daemon.pid!);
  if (task === undefined || task !== asleep?.task) {
    if (asleep?.woken) tell('woken');
    asleep = task === undefined ? undefined : { task, since: performance.now() };
  } else if (performance.now() - asleep.since < PATIENCE) {
    asleep.woken = true;
    for (const { target } of zfsFuseMounts(daemon.pid!)) ask(target);
  } else end();
}, PERIOD);

function end(): void {
  tell('hung');
  expected = true;
  abortZfsFuse(daemon.pid!);
  daemon.kill('SIGKILL');
}

/** Any request does. Who asks does not come back before it is answered. */
function ask(target: string): void {
  if (asked.has(target)) return;
  asked.add(target);
  const question = spawn('stat', ['--file-system', '--', target], { stdio: 'ignore' });
  question.once('exit', () => asked.delete(target));
}
