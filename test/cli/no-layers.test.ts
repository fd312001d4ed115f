import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Kit, openKit } from './kit.ts';

interface Inspected {
  readonly RootFS: object;
  readonly GraphDriver: { readonly Data: object | null };
}

/** What `FROM scratch` makes where nothing follows but defaults. */
describe('an image without layers', () => {
  let kit: Kit & AsyncDisposable;
  before(async () => {
    kit = await openKit();
    await kit.origin.image('empty', [], { config: { Cmd: ['/app'] } });
    await kit.ok('pull -q REG/empty');
  });
  after(() => kit[Symbol.asyncDispose]());

  test('has a list of layers that is empty', async () => {
    assert.equal(await kit.ok('layers --json REG/empty'), '[]\n');
    assert.equal((await kit.ok('layers REG/empty')).trimEnd().split('\n').length, 1);
  });

  test('is inspected as any other', async () => {
    const [image] = JSON.parse(await kit.ok('inspect REG/empty')) as Inspected[];
    assert.equal(image?.GraphDriver.Data, null);
    assert.deepEqual(image?.RootFS, { Type: 'layers' });
  });

  test('has nothing to mount, and says so', async () => {
    const { code, stderr } = await kit.mica(['mount', 'REG/empty']);
    assert.equal(code, 2);
    assert.match(stderr, /the image has no layers/);
  });
});
