import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  globSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { abortZfsFuse, zfsFuseMounts } from '../../src/testing/drivers/zfs-fuse-mounts.ts';

/** How long nothing need be heard of tests before zfs-fuse is asked whether it answers, in milliseconds. */
const QUIET = 60_000;
/** And before they are ended: some seconds is the longest where nobody else works, minutes where many do. */
const SILENT = 1_800_000;
/** A test that failed no longer ago failed since zfs-fuse hung or died, when that is told. */
const BLAMED = 5_000;
/** How long zfs-fuse may take to answer, and what was killed to end. */
const PATIENCE = 30_000;

export interface Attempt {
  /** `hung`: zfs-fuse did, or ended by itself, and no test had failed before. */
  readonly outcome: 'passed' | 'failed' | 'hung';
  /** What the tests wrote. */
  readonly log: string;
  /** How often zfs-fuse slept, and was woken. */
  readonly woken: number;
}

/**
 * Runs a command with a zfs-fuse of its own, in namespaces that end with everything in them.
 * @param scratch - a directory that does not exist, and does not afterwards
 */
export async function attempt(scratch: string, command: readonly string[]): Promise<Attempt> {
  const [log, report, tmp] = ['log', 'report', 'tmp'].map((name) => join(scratch, name));
  mkdirSync(tmp!, { recursive: true });
  closeSync(openSync(report!, 'w'));
  const fd = openSync(log!, 'w');
  const env = { MICA_TEST_ZFS_FUSE: '1', MICA_TEST_ZFS_FUSE_REPORT: report, TMPDIR: tmp };
  const words = [...NAMESPACES, join(import.meta.dirname, 'inside'), ...command];
  const child = spawn('setpriv', words, {
    stdio: ['ignore', fd, fd],
    env: { ...process.env, ...env },
  });
  const told = (): Told => ({
    size: fstatSync(fd).size,
    failed: readFileSync(log!, 'utf8').includes('✖'),
    hung: /^(?:hung|died)/m.test(readFileSync(report!, 'latin1')),
  });
  const ended = once(child, 'exit').then(([code]) => (code as number | null) ?? 1);
  const outcome = await watch(child.pid!, ended, told);
  if (outcome === undefined)
    appendFileSync(log!, `nothing heard for ${SILENT / 1000} s, and zfs-fuse answers\n`);
  const woken = readFileSync(report!, 'latin1').match(/^woken/gm)?.length ?? 0;
  const result = { outcome: outcome ?? 'failed', log: readFileSync(log!, 'utf8'), woken };
  closeSync(fd);
  rmSync(scratch, { recursive: true });
  return result;
}

const NAMESPACES =
  '--pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --mount-proc --propagation private'.split(
    ' ',
  );

interface Told {
  readonly size: number;
  readonly failed: boolean;
  readonly hung: boolean;
}

/** @returns `undefined` when nothing was heard for too long, though zfs-fuse answered */
async function watch(
  pid: number,
  ended: Promise<number>,
  told: () => Told,
): Promise<Attempt['outcome'] | undefined> {
  let last: Told = { size: 0, failed: false, hung: false };
  let [heard, sound] = [performance.now(), performance.now()];
  let [failed, asked] = [false, 0];
  for (;;) {
    const code = await within(500, ended);
    const now = told();
    if (!now.failed) sound = performance.now();
    failed ||= !now.hung && performance.now() - sound > BLAMED;
    if (code === 0) return 'passed';
    if (code !== undefined) return now.hung && !failed ? 'hung' : 'failed';
    if (now.size !== last.size) [heard, asked] = [performance.now(), 0];
    last = now;
    const quiet = performance.now() - heard;
    const ask = quiet > (asked + 1) * QUIET;
    if (ask) asked++;
    const silent = quiet > SILENT;
    const hung =
      now.hung || (ask && !(await answers(pid))) || (silent && waitsForFuse(initOf(pid)));
    if (!hung && !silent) continue;
    await end(pid, ended);
    if (failed) return 'failed';
    return hung ? 'hung' : undefined;
  }
}

/** Whether zfs-fuse has an answer, be it an error, for whoever asks. @param pid - of `unshare` */
async function answers(pid: number): Promise<boolean> {
  const init = initOf(pid);
  if (init === undefined) return true;
  const questions = zfsFuseMounts(init).map(({ target }) => ['stat', '-f', '--', target]);
  const inside = ['--target', String(init), '--mount', '--pid'];
  const all = [['zfs', 'list', '-H'], ...questions].map(async (question) =>
    once(spawn('nsenter', [...inside, ...question], { stdio: 'ignore' }), 'exit'),
  );
  return (await within(PATIENCE, Promise.all(all))) !== undefined;
}

/** Whether a process of these namespaces still waits for what FUSE serves: its request was lost. */
function waitsForFuse(init: number | undefined): boolean {
  if (init === undefined) return false;
  const ours = readlinkSync(`/proc/${init}/ns/pid`);
  return globSync('/proc/[0-9]*/task/[0-9]*').some((task) => {
    try {
      const wait = readFileSync(join(task, 'wchan'), 'latin1');
      return wait === 'request_wait_answer' && readlinkSync(join(task, 'ns/pid')) === ours;
    } catch {
      // It has ended.
      return false;
    }
  });
}

async function end(pid: number, ended: Promise<number>): Promise<void> {
  const init = initOf(pid);
  if (init !== undefined) {
    abortZfsFuse(init);
    process.kill(init, 'SIGKILL');
  }
  if ((await within(PATIENCE, ended)) === undefined) process.kill(pid, 'SIGKILL');
}

/** The first process of the namespaces that `unshare` made, while there is one. */
function initOf(pid: number): number | undefined {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(path) ? readFileSync(path, 'latin1') : '';
  return children === '' ? undefined : Number.parseInt(children, 10);
}

/** What `promise` gives, when it does so in time. */
const within = <T>(ms: number, promise: Promise<T>): Promise<T | undefined> =>
  Promise.race([promise, setTimeout(ms, undefined, { ref: true })]);
