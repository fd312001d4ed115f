import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { file, link, tree } from '../../src/testing/tree.ts';
import { type Kit, openKit } from './kit.ts';

const RED = '\u001b[31mred\u0007';

let kit: Kit;
before(async () => {
  kit = await openKit();
  const layer = tree([
    [`bad/${RED}`, file('x')],
    ['bad/line\nbreak', file('x')],
    [Buffer.from([0x62, 0x61, 0x64, 0x2f, 0xff, 0x9b]), file('x')],
    ['bad/link', link(`to${RED}`)],
  ]);
  await kit.origin.image('hostile', [layer], {
    compression: 'none',
    config: { Labels: { [RED]: RED }, Env: [`A=${RED}`], Cmd: ['\u202egpj.exe', '\u009b2J'] },
  });
  await kit.ok('pull -q REG/hostile');
});
after(() => kit[Symbol.asyncDispose]());

const COMMANDS = [
  'ls -l REG/hostile:/bad',
  'ls -R REG/hostile',
  'ls --json -R REG/hostile',
  'why REG/hostile /bad/link',
  'layers REG/hostile',
  'history REG/hostile',
  'images',
  'tree',
  'df -v',
  'image inspect REG/hostile',
  'inspect -f {{.Config.Labels}}{{.Config.Cmd}} REG/hostile',
];

for (const command of COMMANDS)
  test(`mica ${command} sends no control characters of an image to the terminal`, async () => {
    const text = await kit.ok(command, { columns: 100 });
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  });

test('names are spelled so that one can tell them apart, and exactly as JSON', async () => {
  assert.deepEqual((await kit.ok('ls REG/hostile:/bad')).split('\n').sort(), [
    '',
    '\\033[31mred\\007',
    '\\377\\233',
    'line\\nbreak',
    'link',
  ]);
  const lines = (await kit.ok('ls --json REG/hostile:/bad')).trim().split('\n');
  const files = lines.map((line) => JSON.parse(line) as { path: string; rawPath?: string });
  assert.ok(files.some(({ path }) => path === `/bad/${RED}`));
  const raw = files.map(({ rawPath }) => rawPath).filter((path) => path !== undefined);
  assert.deepEqual(raw, [Buffer.from('/bad/\xff\x9b', 'latin1').toString('base64')]);
});

test('a template for a program gets what the image holds, to the byte', async () => {
  const text = await kit.ok(['inspect', '-f', '{{index .Config.Env 0}}', 'REG/hostile']);
  assert.equal(text, `A=${RED}\n`);
});
