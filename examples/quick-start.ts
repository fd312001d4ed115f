/**
 * What `npm start` runs: the main job on an embedded default, without internet.
 *
 * It starts the built-in registry on loopback, publishes four sample images to it over HTTP, pulls
 * them into a fresh store and looks at them with the command line, as you would.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { storeBackend } from '../src/distribution/backend/store.ts';
import { serveRegistry } from '../src/distribution/server.ts';
import { parseReference } from '../src/oci/reference.ts';
import { openRegistry } from '../src/registry/registry.ts';
import { APP, BASE, FIGURES, NODE, PATCH, pushImage } from './sample-images.ts';

const home = mkdtempSync(join(tmpdir(), 'mica-quick-start-'));
chmodSync(home, 0o755);
const root = join(home, 'store');
const main = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');
const bold = (text: string): string => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);

/** As one types it in a shell. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);

/** Runs `mica` as a process of its own, showing what it prints. */
async function mica(...args: string[]): Promise<number> {
  console.log(`\n${bold(`$ mica ${args.map(quoted).join(' ')}`)}`);
  return run(process.execPath, [main, '--root', root, ...args]);
}

function run(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

async function must(...args: string[]): Promise<void> {
  const code = await mica(...args);
  if (code !== 0) throw new Error(`mica ${args.join(' ')} ended with ${code}`);
}

/** As root on Linux: the same tree by a kernel mount, and the sample's program in it. */
async function mountAndRun(image: string): Promise<void> {
  const target = join(home, 'view');
  mkdirSync(target);
  await must('mount', image, target);
  try {
    console.log(`\n${bold(`$ chroot ${target} /usr/local/bin/node /app/index.js`)}`);
    const code = await run('chroot', [target, '/usr/local/bin/node', '/app/index.js']);
    if (code !== 0) console.log(`(the program ended with ${code})`);
  } finally {
    await must('umount', target);
  }
}

async function quickStart(): Promise<void> {
  const token = randomBytes(16).toString('hex');
  await using backend = await storeBackend(join(home, 'registry'), { writable: true });
  await using server = await serveRegistry({ backend, writable: { token } });
  const host = `${server.address}:${server.port}`;
  console.log(`${bold('A registry')} listens on ${server.url}; a fresh store lies in ${root}.`);
  {
    const credentials = { get: async () => ({ username: 'mica', secret: token }) };
    await using registry = openRegistry({ credentials });
    const repository = (name: string) =>
      registry.repository(parseReference(`${host}/sample/${name}`));
    console.log('Publishing sample images made of the files of this machine …');
    await pushImage(repository('base'), 'latest', [BASE], ['/bin/true']);
    await pushImage(repository('app'), '1.0', [BASE, NODE, APP], ['node', '/app/index.js']);
    await pushImage(repository('app'), '1.1', [BASE, NODE, APP, PATCH], ['node', '/app/index.js']);
    await pushImage(repository('figures'), 'latest', FIGURES, ['/bin/true']);
  }
  const app = `${host}/sample/app:1.1`;
  await must('pull', app);
  await must('pull', `${host}/sample/app:1.0`);
  await must('pull', `${host}/sample/figures`);
  await must('images');
  await must('image', 'inspect', '-f', '{{range .RootFS.Layers}}{{println .}}{{end}}', app);
  await must('image', 'inspect', `${host}/sample/figures`);
  await must('layers', app);
  await must('tree');
  await must('why', app, '/app/greet.js');
  await must('why', app, '/app/secret.key');
  await must('ls', `${host}/sample/figures`, '/');
  await must('why', `${host}/sample/figures`, '/file-5');
  await must('cat', app, '/app/greet.js');
  if (process.platform === 'linux' && process.getuid?.() === 0) await mountAndRun(app);
  else console.log('\n(As root on Linux this would mount the image and run its program in it.)');
  await must('df');
  console.log(`
${bold('Try next')}
  ./bin/mica --root ${root} ls -l ${app} /app
  ./bin/mica --root ${root} layers ${host}/sample/app:1.0
  ./bin/mica --root ${root} check
  ./bin/mica pull debian:stable-slim          # from Docker Hub, into your own store
  ./bin/mica --help

The registry ends with this command. Remove the samples with: rm -r ${home}`);
}

await quickStart();
