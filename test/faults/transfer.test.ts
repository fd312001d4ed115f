import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openEngine } from '../../src/engine/open.ts';
import type { TransferEvent } from '../../src/engine/transfer/transfer.ts';
import { isCode } from '../../src/errors.ts';
import { dockerArchive } from '../../src/testing/docker-archive.ts';
import type { FaultRule } from '../../src/testing/fault-proxy.ts';
import { cutUpload, header, respond } from '../../src/testing/faults.ts';
import { file, tarOf, tree } from '../../src/testing/tree.ts';
import { openOrigin } from '../support/origin.ts';
import { openTemporaryEngine } from '../support/store.ts';

const before = process.env['REGISTRY_AUTH_FILE'];
after(() => {
  if (before === undefined) delete process.env['REGISTRY_AUTH_FILE'];
  else process.env['REGISTRY_AUTH_FILE'] = before;
});

const LAYERS = ['one', 'two'].map((name) =>
  tarOf(tree({ [name]: file(randomBytes(600_000).toString('hex')) })),
);
const ARCHIVE = dockerArchive([{ tags: ['app:1'], layers: LAYERS }]);

/** Loads an archive and dies by SIGKILL at the first event of a type. */
const dying = (root: string, archive: string, type: string): string => `
  import { openEngine } from ${JSON.stringify(new URL('../../src/engine/open.ts', import.meta.url).href)};
  const engine = await openEngine({ root: ${JSON.stringify(root)}, driver: 'tar' });
  await engine.load(${JSON.stringify(archive)}, {
    onProgress: (event) => event.type === ${JSON.stringify(type)} && process.kill(process.pid, 'SIGKILL'),
  });`;

for (const type of ['layers', 'bytes', 'downloaded', 'complete'] satisfies TransferEvent['type'][])
  test(`a load that is killed at its first ${type} shows nothing, and the next one is whole`, async () => {
    await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-load-'));
    const [root, archive] = [join(dir.path, 'store'), join(dir.path, 'app.tar')];
    await writeFile(archive, ARCHIVE);
    const program = dying(root, archive, type);
    const died = spawnSync(process.execPath, ['--input-type=module', '-e', program]);
    assert.equal(died.signal, 'SIGKILL', String(died.stderr));
    await using engine = await openEngine({ root, driver: 'tar' });
    assert.deepEqual(await engine.images(), []);
    const [loaded] = await engine.load(archive);
    assert.deepEqual(loaded!.references, ['docker.io/library/app:1']);
    const { problems } = await engine.check();
    assert.deepEqual(problems, []);
    assert.deepEqual(await readdir(join(root, 'content', 'ingest')), []);
  });

/** Pushes a loaded image through a bad way. */
async function pushing(
  rules: readonly FaultRule[],
  use: (push: () => Promise<unknown>, digest: string, url: string) => Promise<void>,
): Promise<void> {
  await using origin = await openOrigin();
  await using proxy = await origin.proxy(...rules);
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-push-'));
  const auths = { [proxy.host]: { auth: Buffer.from('me:a-token-for-tests').toString('base64') } };
  const authFile = join(dir.path, 'auth.json');
  await writeFile(authFile, JSON.stringify({ auths }));
  process.env['REGISTRY_AUTH_FILE'] = authFile;
  const archive = join(dir.path, 'app.tar');
  await writeFile(archive, dockerArchive([{ tags: [`${proxy.host}/app:1`], layers: LAYERS }]));
  await using engine = await openTemporaryEngine({
    driver: 'tar',
    retry: { attempts: 3, delay: 5, maxDelay: 20 },
  });
  const [loaded] = await engine.load(archive);
  const push = async (): Promise<unknown> => engine.push(`${proxy.host}/app:1`);
  await use(push, loaded!.image.manifestDescriptor.digest, origin.url);
}

const here = async (url: string): Promise<string | null> => {
  const response = await fetch(`${url}/v2/app/manifests/1`, { method: 'HEAD' });
  return response.headers.get('docker-content-digest');
};

const SURVIVED: readonly (readonly [what: string, rules: readonly FaultRule[]])[] = [
  [
    'uploads that break off',
    [{ method: 'PUT', path: /uploads/, nth: [1, 2], fault: cutUpload(200_000) }],
  ],
  [
    'a registry that is overloaded for a moment',
    [{ method: 'POST', nth: [1, 2], fault: respond(503) }],
  ],
  [
    'a manifest that is not taken at once',
    [{ method: 'PUT', path: /manifests/, nth: 1, fault: respond(502) }],
  ],
  [
    'a registry that does not answer HEAD',
    [{ method: 'HEAD', path: /blobs/, fault: respond(405) }],
  ],
];

for (const [what, rules] of SURVIVED)
  test(`a push survives ${what}`, async () => {
    await pushing(rules, async (push, digest, url) => {
      await push();
      assert.equal(await here(url), digest);
    });
  });

const OTHER = `sha256:${'0'.repeat(64)}`;
const FATAL: readonly (readonly [
  what: string,
  rules: readonly FaultRule[],
  code: Parameters<typeof isCode>[1],
])[] = [
  [
    'says that it stored another blob',
    [{ method: 'PUT', path: /uploads/, fault: header('docker-content-digest', OTHER) }],
    'DATA_LOSS',
  ],
  ['is full', [{ method: 'PUT', path: /uploads/, fault: respond(507) }], 'UNAVAILABLE'],
  ['forbids uploads', [{ method: 'POST', fault: respond(403) }], 'PERMISSION_DENIED'],
  [
    'has lost the blobs that it said it has',
    [{ method: 'HEAD', path: /blobs/, fault: respond(200, { 'content-length': '5' }) }],
    'NOT_FOUND',
  ],
];

for (const [what, rules, code] of FATAL)
  test(`a push to a registry that ${what} fails with ${code}, and nothing has the tag`, async () => {
    await pushing(rules, async (push, _, url) => {
      await assert.rejects(push(), (error) => isCode(error, code) || assert.fail(error as Error));
      assert.equal(await here(url), null);
    });
  });

test('a mount that is refused costs an upload, no more', async () => {
  const rules = [{ method: 'POST', path: /mount=/, fault: respond(403) }];
  await using origin = await openOrigin();
  const image = await origin.image('app', [tree({ a: file('1') })]);
  await using proxy = await origin.proxy(...rules);
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-push-'));
  const auths = { [proxy.host]: { auth: Buffer.from('me:a-token-for-tests').toString('base64') } };
  await writeFile(join(dir.path, 'auth.json'), JSON.stringify({ auths }));
  process.env['REGISTRY_AUTH_FILE'] = join(dir.path, 'auth.json');
  await using engine = await openTemporaryEngine({ driver: 'tar' });
  await engine.pull(`${proxy.host}/app`);
  await engine.tag(`${proxy.host}/app`, `${proxy.host}/copy:1`);
  const pushed = await engine.push(`${proxy.host}/copy:1`);
  assert.equal(pushed.target.digest, image.descriptor.digest);
  assert.ok(pushed.bytesSent > 0);
  assert.ok(proxy.requests.some(({ target }) => target.includes('mount=')));
});
