import assert from 'node:assert/strict';
import { PassThrough, Readable, Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { Interrupted } from '../../src/cli/failure.ts';
import { run } from '../../src/cli/run.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

let kit: Kit;
before(async () => {
  kit = await openKit();
  await kit.origin.image('app', [tree({ big: file(Buffer.alloc(2 ** 20)) })], {
    compression: 'none',
  });
  await kit.ok('pull -q REG/app');
});
after(() => kit[Symbol.asyncDispose]());

const CASES: readonly (readonly [line: string, code: number, complaint: RegExp])[] = [
  ['', 2, /^Usage: mica/],
  ['--help', 0, /^$/],
  ['pull --help', 0, /^$/],
  ['help image ls', 0, /^$/],
  ['--version', 0, /^$/],
  ['imges', 2, /^mica: unknown command 'imges'\n\(Did you mean images\?\)/],
  ['image inspec x', 2, /Did you mean inspect\?/],
  ['pull', 2, /missing required argument 'image'/],
  ['pull --platfrom x y', 2, /Did you mean --platform\?/],
  ['pull --progress loud x', 2, /Allowed choices are auto, tty, plain, json, quiet/],
  ['pull UPPER', 2, /not an image reference/],
  ['pull --platform what/is/this/now x', 2, /platform/],
  ['images --filter nonsense=1', 2, /filter "nonsense"/],
  [
    'images --format {{.Nope}} ',
    2,
    /^mica: template parsing error: .* can't evaluate field Nope in type image/,
  ],
  ['inspect -f {{.Nope REG/app', 2, /unclosed action/],
  ['inspect nope', 3, /no such image: nope/],
  ['ls REG/app:/nope', 3, /\/nope/],
  ['cat REG/app', 2, /names no path/],
  ['cat REG/app:/', 6, /is a directory/],
  ['pull REG/missing', 3, /^mica: pull [^ ]*\/missing:latest: not found: GET /],
  ['import http://[', 2, /^mica: "http:\/\/\[" is not an address/],
  ['run --nonsense REG/app', 125, /unknown option '--nonsense'/],
  ['run --link a:b REG/app', 125, /^mica: --link: containers have no network .*--network host/],
  ['run -d -a stdout REG/app', 125, /^mica: -d .* -a/],
  ['run --attach stdnone REG/app', 125, /none of stdin, stdout, stderr/],
  ['run --restart=always REG/app', 125, /Restart=always/],
  ['run --rm=perhaps REG/app', 125, /neither true nor false/],
  ['run --device nvidia.com/gpu=all REG/app', 125, /CDI/],
  ['run --mount type=bind,source=/x,target=/y,z=1 REG/app', 125, /z is not among the options/],
  ['container run --pid host REG/app', 125, /^mica: --pid host: /],
  ['create --health-cmd true REG/app', 11, /^mica: --health-cmd: /],
  ['build --ssh default .', 11, /^mica: --ssh: .*--secret/],
  ['build --secret id=a,type=ssh .', 2, /^mica: --secret: there is no type "ssh"/],
  ['volume create x', 11, /^mica: there is no mica volume: .*-v DIRECTORY:PATH/],
  ['container stats', 11, /^mica: there is no mica container stats: /],
  ['system events --since 1h', 11, /^mica: there is no mica system events: /],
  ['info --format {{.Nope}}', 2, /no entry for key "Nope"/],
  ['pull 127.0.0.1:1/app', 10, /127\.0\.0\.1:1/],
  ['umount', 2, /missing argument/],
  ['--storage-driver nonsense --root DIR pull REG/app', 2, /nonsense/],
  ['--config /nope images', 2, /configuration file: open \/nope/],
  ['login -u a --password-stdin no/host', 2, /is not the host of a registry/],
  ['registry --listen nonsense', 2, /ADDRESS:PORT/],
];

for (const [line, code, complaint] of CASES)
  test(`mica ${line} ends with ${code}`, async () => {
    const words = line.replace('DIR', kit.directory).split(' ').filter(Boolean);
    const outcome = await kit.mica(words);
    assert.deepEqual(outcome.code, code, outcome.stderr);
    assert.match(outcome.stderr, complaint);
  });

test('--debug shows where an error comes from', async () => {
  const { stderr } = await kit.mica(['--debug', 'inspect', 'nope']);
  assert.match(stderr, /^mica: no such image: nope.*\n.*MicaError: .*\n +at /);
});

test('a reader that goes away ends the command quietly', async () => {
  const stdout = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })),
  });
  const stderr = new PassThrough();
  const args = ['--root', kit.root, 'cat', `${kit.registry}/app:/big`];
  const code = await run(
    args,
    { stdin: Readable.from([]), stdout, stderr },
    new AbortController().signal,
  );
  assert.deepEqual([code, stderr.read()], [141, null]);
});

test('an interrupted command ends with 130, and says nothing', async () => {
  const stop = new AbortController();
  stop.abort(new Interrupted('SIGINT'));
  const outcome = await kit.mica(['pull', 'REG/app'], { signal: stop.signal });
  assert.deepEqual([outcome.code, outcome.stderr], [130, '']);
});
