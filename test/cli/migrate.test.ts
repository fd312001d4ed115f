import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT_CODE } from '../../src/cli/exit-code.ts';
import { Interrupted } from '../../src/cli/failure.ts';
import type { MigrateEvent, Migration } from '../../src/engine/migrate/migration.ts';
import { openEngine } from '../../src/engine/open.ts';
import { needs } from '../../src/testing/need.ts';
import { file, tree } from '../../src/testing/tree.ts';
import { openKit, runMica } from './kit.ts';

const LAYERS = [tree({ a: file('1') }), tree({ b: file('2') })];

test(
  'migrate says what it would do, does it, and says so',
  { skip: needs('overlay') },
  async () => {
    await using kit = await openKit();
    await kit.origin.image('app', LAYERS);
    await kit.ok('pull REG/app');
    const mica = async (line: string): Promise<string> => {
      const { code, stdout, stderr } = await runMica(['--root', kit.root, ...line.split(' ')]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const plan = await mica('migrate --driver vfs --dry-run');
    assert.match(plan, /^From tar to vfs\n/);
    assert.equal(plan.match(/make it from its tar/g)?.length, 2);
    assert.match(plan, /Disk needed: {3}about .* free/);
    const json = JSON.parse(await mica('migrate --driver vfs --dry-run --json')) as Migration;
    assert.deepEqual([json.from, json.to, json.layers.length], ['tar', 'vfs', 2]);
    assert.match(await mica('info'), /Storage driver: tar /);
    assert.match(await mica('migrate --driver vfs'), /vfs now, instead of tar: 2 layers made/);
    assert.match(await mica('info'), /Storage driver: vfs /);
    assert.match(await mica('migrate --driver vfs'), /nothing is left of another one/);
    const { code, stderr } = await kit.mica(['images']);
    assert.deepEqual([code, stderr], [0, '']);
    const refused = await kit.mica(['info']);
    assert.equal(refused.code, 6);
    assert.match(refused.stderr, /mica migrate --driver tar/);
  },
);

test(
  'migrate names the image that has more layers than the other driver stacks, and goes on without it',
  { skip: needs('overlay') },
  async () => {
    await using kit = await openKit();
    const many = Array.from({ length: 501 }, (_, n) => tree({ [`f${n}`]: file('') }));
    await kit.origin.image('more', many);
    await kit.ok('pull REG/more');
    const line = ['--root', kit.root, 'migrate', '--driver', 'overlay2'];
    const obstacles = async (): Promise<readonly string[]> => {
      const { stdout } = await runMica([...line, '--dry-run', '--json']);
      return (JSON.parse(stdout) as Migration).obstacles;
    };
    const [deep = '', ...others] = await obstacles();
    assert.deepEqual(others, []);
    assert.match(
      deep,
      /^overlay2 stacks 500 layers, .* \(127\.0\.0\.1:\d+\/more:latest\); .*mica squash/,
    );
    const { code, stderr } = await runMica(line);
    assert.equal(code, EXIT_CODE.FAILED_PRECONDITION);
    assert.ok(stderr.includes(deep), stderr);
    await kit.ok('rmi REG/more');
    assert.deepEqual(await obstacles(), []);
  },
);

test('migrate refuses what cannot be', async () => {
  await using kit = await openKit();
  const code = async (...args: string[]): Promise<number> => (await kit.mica(args)).code;
  assert.equal(await code('migrate', '--driver', 'vfs'), 3, 'there is no store');
  await kit.origin.image('app', LAYERS);
  await kit.ok('pull REG/app');
  assert.equal(await code('migrate', '--driver', 'zip'), 2);
  assert.equal(await code('migrate'), 2);
  const missing = await runMica([
    '--root',
    join(kit.directory, 'none'),
    'migrate',
    '--driver',
    'tar',
  ]);
  assert.equal(missing.code, 3);
});

test(
  'a migration that is stopped says that nothing has changed and how to go on',
  { skip: needs('overlay') },
  async () => {
    await using kit = await openKit();
    await kit.origin.image('app', LAYERS);
    await kit.ok('pull REG/app');
    const signal = AbortSignal.abort(new Interrupted('SIGINT'));
    const { code, stderr } = await kit.mica(['migrate', '--driver', 'vfs'], { signal });
    assert.equal(code, 130);
    assert.match(stderr, /the driver that it had, `mica migrate --driver vfs` goes on/);
  },
);

test(
  'what an unfinished migration holds is named, and what giving it up frees',
  { skip: needs('overlay') },
  async () => {
    await using kit = await openKit();
    await kit.origin.image('app', LAYERS);
    await kit.ok('pull REG/app');
    {
      await using engine = await openEngine({ root: kit.root });
      const stop = new AbortController();
      const onProgress = ({ type }: MigrateEvent): void => {
        if (type === 'made') stop.abort(new Error('enough'));
      };
      const options = { driver: 'vfs', signal: stop.signal, onProgress };
      await assert.rejects(engine.migrate(options), { message: 'enough' });
    }
    const df = await kit.ok('df');
    assert.match(
      df,
      /[1-9][\d.]*\S*B +made for storage driver vfs, to which the store has not changed/,
    );
    assert.doesNotMatch(df, /used by no image/);
    assert.match(await kit.ok('info'), /changing to: vfs \(unfinished/);
    assert.match(
      await kit.ok('migrate --driver tar'),
      /keeps storage driver tar; [1-9][\d.]*\S*B that were made for another one are freed/,
    );
    assert.doesNotMatch(await kit.ok('df'), /made for storage driver/);
    assert.match(await kit.ok('migrate --driver tar'), /nothing is left of another one/);
  },
);
