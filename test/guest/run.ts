/**
 * Runs tests on a kernel of Debian's in a virtual machine: what the kernel of this machine lacks is there.
 *
 *     npm run test:guest [-- FILE …]     the files, or those of {@link CHOSEN}
 *
 * The guest sees the checkout, read-only, where it lies here; its own disk forgets everything. It ends by
 * itself, or when its time is up (`MICA_GUEST_SECONDS`); its console is shown when it did not end well.
 */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';

/** What only these kernels have, or have otherwise. Chosen by time: the guest's processor is interpreted. */
const CHOSEN: readonly string[] = [
  'src/runtime/cgroup/limits.test.ts',
  'src/sys/device-mapper.test.ts',
  'src/snapshot/drivers/devicemapper.test.ts',
  'src/snapshot/drivers/devicemapper/full-pool.test.ts',
  'src/snapshot/drivers/devicemapper/killed.test.ts',
];

/** Needs that the guest does not meet. Each skip for another reason is a failure. */
const UNMET: Readonly<Record<string, string>> = {
  bookworm: 'erofs-utils skopeo umoci podman buildah docker-registry isal',
  trixie: 'erofs-utils skopeo umoci podman buildah docker-registry isal',
};

/** Programs are killed at every n-th step only. */
const STRIDE = process.env['MICA_CRASH_STRIDE'] ?? '16';

const home = realpathSync(join(import.meta.dirname, '..', '..'));
const suite = process.env['MICA_GUEST_SUITE'] ?? 'bookworm';
const caches =
  process.env['MICA_GUEST_CACHE'] ??
  join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mica-guest');
const seconds = Number(process.env['MICA_GUEST_SECONDS'] ?? 540);
const given = process.argv.slice(2);
const files = given.length > 0 ? given : CHOSEN;

async function boot(): Promise<number> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'mica-guest-'));
  const console = join(scratch.path, 'console');
  const out = scratch.path;
  writeJob(out);
  const started = performance.now();
  const qemu = spawn('qemu-system-x86_64', machine(out, console), {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  const stop = (): void => void qemu.kill('SIGKILL');
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const ended = await new Promise<string>((resolve) => {
    qemu.once('error', ({ message }) => resolve(`qemu-system-x86_64: ${message}`));
    qemu.once('exit', (code, signal) => resolve(signal ?? (code === 0 ? '' : `exit code ${code}`)));
  });
  const took = Math.round((performance.now() - started) / 1000);
  const code = existsSync(join(out, 'exit-code'))
    ? Number(readFileSync(join(out, 'exit-code'), 'latin1'))
    : undefined;
  if (code !== 0 && existsSync(console))
    write(`\nthe guest's console:\n${readFileSync(console, 'latin1')}`);
  if (code === undefined) {
    const why =
      ended === 'SIGKILL' ? `its time of ${seconds} s was up` : ended || 'it switched off';
    write(`guest ${suite}: no result, ${why}`);
    return 1;
  }
  write(`guest ${suite}: ended after ${took} s with exit code ${code}`);
  return code;
}

/** The command line of the virtual machine. @param out - a directory that the guest may write to */
function machine(out: string, console: string): string[] {
  const shares = shared();
  const kernel = [
    'console=ttyS0 panic=-1 quiet net.ifnames=0',
    ...shares.map((path, n) => `guest.share=share${n}:${path}`),
    `guest.init=${join(home, 'test/guest/init')}`,
  ].join(' ');
  const disk = `file=${join(caches, suite, 'root.ext4')},if=virtio,format=raw,snapshot=on,cache=unsafe`;
  return [
    ['-accel', 'tcg,thread=multi', '-cpu', 'Westmere', '-smp', '2', '-m', '2048'],
    ['-nographic', '-no-reboot', '-nodefaults', '-nic', 'none'],
    ['-serial', `file:${console}`, '-serial', 'stdio'],
    ['-kernel', join(caches, suite, 'vmlinuz'), '-initrd', join(caches, suite, 'initramfs.gz')],
    ['-append', kernel, '-drive', disk],
    ...shares.map((path, n) => ['-virtfs', `${share(path, `share${n}`)},readonly=on`]),
    ['-virtfs', share(out, 'out')],
  ].flat();
}

const share = (path: string, tag: string): string =>
  `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap`;

/** The checkout, and the packages where these lie elsewhere. */
function shared(): string[] {
  const packages = realpathSync(join(home, 'node_modules'));
  return relative(home, packages).startsWith('..') ? [home, packages] : [home];
}

/** What `init` of the guest reads. */
function writeJob(out: string): void {
  const node = realpathSync(join(home, 'node_modules/node/bin/node'));
  const zfs = existsSync(join(caches, suite, 'zfs')) ? '' : ' zfs';
  const unmet = `MICA_UNMET_NEEDS=${UNMET[suite] ?? ''}${zfs}`;
  const words = [
    'env',
    'CI=true',
    'NODE_COMPILE_CACHE=/var/tmp/compiled',
    unmet,
    `MICA_CRASH_STRIDE=${STRIDE}`,
  ];
  const command = [...words, node, 'scripts/test.ts', ...files].map(quoted).join(' ');
  writeFileSync(join(out, 'job'), `checkout=${quoted(home)}\ncommand=(${command})\n`);
  const modules = join(caches, suite, 'zfs');
  if (existsSync(modules)) cpSync(modules, join(out, 'zfs'), { recursive: true });
}

const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

execFileSync(join(import.meta.dirname, 'prepare'), { stdio: 'inherit' });
process.exitCode = await boot();
