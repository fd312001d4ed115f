/**
 * Runs the tests of driver zfs on zfs-fuse, where the kernel has no ZFS: each file with a daemon of its own. The
 * daemon hangs at times (`docs/drivers/zfs.md`). A file for which it hung is begun again, three times at most, and
 * its tests count as skipped then. A test that fails, fails.
 *
 *     npm run test:zfs-fuse
 *     npm run test:zfs-fuse -- --list     the files: `npm test` can leave their tests to this
 */
import { spawnSync } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Attempt, attempt } from './attempt.ts';
import { add, type Count, countOf, NONE, skipped } from './count.ts';

/** Of files that are about other drivers, too. */
const OF_ZFS = ['--only', 'zfs'];
/** What is run at the same time, one after the other: arguments of `scripts/test.ts`. */
const LANES: readonly (readonly (readonly string[])[])[] = [
  [['src/snapshot/drivers/suites/zfs.test.ts']],
  [
    ['src/snapshot/drivers/zfs.test.ts'],
    ['test/cli/zfs.test.ts'],
    [...OF_ZFS, 'test/cli/commit-drivers.test.ts'],
    [...OF_ZFS, 'test/interop/migrate.test.ts'],
  ],
];
const ATTEMPTS = 3;
const REASON = 'needs a zfs-fuse that answers, and it hung each time';

let [hung, woken] = [0, 0];

/** @param args - of `scripts/test.ts`, the file last */
async function run(args: readonly string[], scratch: string): Promise<Count> {
  const command = [process.execPath, 'scripts/test.ts', ...args];
  const file = args.at(-1)!;
  let last: Attempt;
  for (let n = 1; ; n++) {
    last = await attempt(scratch, command);
    woken += last.woken;
    if (last.outcome !== 'hung') break;
    hung++;
    console.log(`${last.log}${file}: zfs-fuse hung or died, attempt ${n} of ${ATTEMPTS}`);
    if (n === ATTEMPTS) return withoutZfs(command);
  }
  process.stdout.write(last.log);
  const count = countOf(last.log);
  if (last.outcome === 'passed' && count !== undefined) return count;
  if (count === undefined) console.log(`${file}: no summary`);
  return { ...(count ?? NONE), failed: count?.failed || 1 };
}

/** As many tests as there are for zfs, all skipped. */
function withoutZfs([program, ...words]: readonly string[]): Count {
  const { CI: _, MICA_TEST_ZFS_FUSE: __, MICA_LATER: ___, ...env } = process.env;
  const { stdout } = spawnSync(program!, words, { env, encoding: 'utf8' });
  const count = countOf(stdout);
  if (count === undefined) throw new Error(`${words.join(' ')}: no summary\n${stdout}`);
  return { ...count, skips: new Map([[REASON, skipped(count)]]) };
}

async function runAll(): Promise<Count> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-zfs-fuse-'));
  const lanes = LANES.map(async (lane, n) => {
    let all = NONE;
    for (const args of lane) all = add(all, await run(args, join(scratch.path, String(n))));
    return all;
  });
  return (await Promise.all(lanes)).reduce(add);
}

if (process.argv[2] === '--list') {
  console.log(
    LANES.flat()
      .map((args) => args.at(-1))
      .join(' '),
  );
} else {
  // Here a test that is skipped for want of ZFS is a failure.
  delete process.env['MICA_LATER'];
  const unmet = process.env['MICA_UNMET_NEEDS']?.split(' ').filter((need) => need !== 'zfs');
  if (unmet !== undefined) process.env['MICA_UNMET_NEEDS'] = unmet.join(' ');
  const count = await runAll();
  console.log(`\nzfs-fuse: woken ${woken} times, hung ${hung} times`);
  for (const [reason, n] of count.skips) console.log(`skipped ${n}: ${reason}`);
  console.log(`${count.passed} passed, ${count.failed} failed, ${skipped(count)} skipped`);
  if (count.failed > 0) process.exitCode = 1;
}
