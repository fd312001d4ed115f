import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { run } from '../../src/cli/run.ts';
import { openTemporaryRegistry } from '../../src/distribution/temporary.ts';
import { type Kit, openKit } from './kit.ts';

const TOKEN = 'a-token-for-tests';

let kit: Kit;
let registry: Awaited<ReturnType<typeof openTemporaryRegistry>>;
let host: string;
before(async () => {
  kit = await openKit();
  registry = await openTemporaryRegistry({ writable: { token: TOKEN } });
  host = new URL(registry.url).host;
  process.env['DOCKER_CONFIG'] = join(kit.directory, 'docker');
});
after(async () => {
  delete process.env['DOCKER_CONFIG'];
  await registry[Symbol.asyncDispose]();
  await kit[Symbol.asyncDispose]();
});

const kept = (): unknown =>
  (
    JSON.parse(readFileSync(join(kit.directory, 'docker/config.json'), 'utf8')) as {
      auths: Record<string, unknown>;
    }
  ).auths[host];

test('a password from standard input is tried, then kept; logout forgets it', async () => {
  const words = ['login', '-u', 'me', '--password-stdin', host];
  const refused = await kit.mica(words, { stdin: 'wrong-token\n' });
  assert.equal(refused.code, 7, refused.stderr);
  const taken = await kit.mica(words, { stdin: `${TOKEN}\n` });
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(taken.stdout, /^Login Succeeded/);
  assert.deepEqual(kept(), { auth: Buffer.from(`me:${TOKEN}`).toString('base64') });
  assert.equal(await kit.ok(`logout ${host}`), `Removed the login for ${host}\n`);
  assert.equal(kept(), undefined);
});

/** A terminal at which somebody types. */
function terminal(): {
  stdin: PassThrough & { isTTY: true; setRawMode: () => void };
  modes: boolean[];
} {
  const modes: boolean[] = [];
  const setRawMode = (raw = false): void => void modes.push(raw);
  return { stdin: Object.assign(new PassThrough(), { isTTY: true as const, setRawMode }), modes };
}

test('a password that is asked for is not shown, and edited as it is typed', async () => {
  const { stdin, modes } = terminal();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const shown: string[] = [];
  stderr.on('data', (chunk: Buffer) => {
    shown.push(String(chunk));
    if (String(chunk).startsWith('Username')) stdin.write('me\n');
    if (String(chunk).startsWith('Password')) stdin.write(`nonsense\u0015${TOKEN}xx\u007f\b\r`);
  });
  const code = await run(['login', host], { stdin, stdout, stderr }, new AbortController().signal);
  assert.equal(code, 0, shown.join(''));
  assert.deepEqual(modes, [true, false]);
  assert.ok(!shown.join('').includes(TOKEN));
  assert.deepEqual(kept(), { auth: Buffer.from(`me:${TOKEN}`).toString('base64') });
});

test('Ctrl-C at the prompt ends it, and the terminal is as it was', async () => {
  const { stdin, modes } = terminal();
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  stderr.on('data', (chunk: Buffer) => {
    if (String(chunk).startsWith('Password')) stdin.write('secr\u0003');
  });
  const code = await run(
    ['login', '-u', 'me', host],
    { stdin, stdout, stderr },
    new AbortController().signal,
  );
  assert.deepEqual([code, modes], [130, [true, false]]);
});

test('nobody is asked where nobody can answer', async () => {
  const { code, stderr } = await kit.mica(['login', host]);
  assert.equal(code, 6);
  assert.match(stderr, /standard input is not a terminal/);
});
