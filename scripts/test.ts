/**
 * Runs the tests and tells, beside what failed, what was skipped and which need of the machine is to blame.
 *
 *     npm test [-- FILE …]           the files, or everything
 *     npm test -- --only TEXT FILE …   tests alone that have the text in their name or their suites'
 *
 * Random cases are the same in every run, see `seed.ts`.
 *
 * In CI (`CI=true`) a skip fails the run unless `MICA_UNMET_NEEDS` (needs separated by spaces, found
 * by `.ci/run` with its own probes) names every need of its reason.
 *
 * `MICA_LATER="NEED FILE …"`: tests of these files that are skipped for want of the one need are run elsewhere.
 * They are counted by themselves.
 */
import { spawnSync } from 'node:child_process';
import { glob } from 'node:fs/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';

const home = join(import.meta.dirname, '..');
const { values, positionals: chosen } = parseArgs({
  options: { only: { type: 'string' } },
  allowPositionals: true,
});
const files =
  chosen.length > 0
    ? chosen
    : await Array.fromAsync(glob('{src,test}/**/*.test.ts', { cwd: home }));

const [need, ...laterFiles] = (process.env['MICA_LATER'] ?? '').split(' ');
/** Tests of a conformance suite are where the suite is written, whichever file runs it. */
function isLater(path: string | undefined, reason: string): boolean {
  const file = relative(home, path ?? '');
  return reason === `needs ${need}` && (laterFiles.includes(file) || file.startsWith(SUITES));
}
const SUITES = join('src', 'testing', '/');

// Two files run at once. Whoever makes a mount namespace (a container, a user namespace) has copies of all
// mounts in it, for as long as it lives: of a snapshot of the other file that is to be committed, too. What
// runs with zfs-fuse has one of its own already, into which others look.
const isAlone = process.env['MICA_TEST_ZFS_FUSE'] !== undefined;
if (!isAlone && process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0) {
  process.env['MICA_TEST_NODE'] = process.execPath;
  process.execPath = join(import.meta.dirname, 'own-mounts.sh');
}

let [passed, failed, later] = [0, 0, 0];
const skips = new Map<string, number>();
const failures: string[] = [];

const stream = run({
  cwd: home,
  files: files.map((file) => join(home, file)).sort(),
  concurrency: 2,
  execArgv: ['--import', import.meta.resolve('./seed.ts')],
  ...(values.only !== undefined && {
    testNamePatterns: [new RegExp(RegExp.escape(values.only), 'i')],
  }),
  // Of one file: something that hangs is a failure with a name, not a run without an end. The longest take
  // minutes, and several times that where others work, too.
  timeout: 3_600_000,
});
stream.on('test:pass', ({ skip, todo, details, file }) => {
  if (details.type === 'suite') return;
  if (skip === undefined && todo === undefined) passed++;
  else {
    const reason = String(skip || todo || 'no reason given');
    if (isLater(file, reason)) later++;
    else skips.set(reason, (skips.get(reason) ?? 0) + 1);
  }
});
stream.on('test:fail', ({ name, file, details }) => {
  if (details.type === 'suite') return;
  failed++;
  failures.push(`${file ?? ''}: ${name}`);
});
for await (const chunk of stream.compose(new spec())) process.stdout.write(String(chunk));

const skipped = [...skips.values()].reduce((sum, count) => sum + count, 0);
for (const failure of failures) console.log(`failed: ${failure}`);
for (const [reason, count] of [...skips].sort(([a], [b]) => a.localeCompare(b)))
  console.log(`skipped ${count}: ${reason}`);
if (later > 0) console.log(`run by another step ${later}: needs ${need}`);

const unmet = new Set((process.env['MICA_UNMET_NEEDS'] ?? '').split(/\s+/).filter(Boolean));
const excused = (reason: string): boolean =>
  reason.startsWith('needs ') &&
  reason
    .slice(6)
    .split(', ')
    .some((one) => unmet.has(one));
const wrong =
  process.env['CI'] === 'true' ? [...skips.keys()].filter((reason) => !excused(reason)) : [];
for (const reason of wrong)
  console.log(`CI: skipped although this machine could run it: ${reason}`);

console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
if (failed > 0 || wrong.length > 0) process.exitCode = 1;
if (passed + failed === 0) {
  console.log('no test was found');
  process.exitCode = 1;
}
