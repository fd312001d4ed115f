import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Script } from 'node:vm';
import { OCI_LAYER } from '../oci/media-type.ts';
import { sha256 } from '../oci/digest.ts';
import { SmallNursery } from './small-nursery.ts';

/** Sources of one length, by which V8 tells whether it has compiled one before. */
const sourceOf = (n: number): string => `globalThis.answer = () => ${1000 + n};`;
const cachedData = new Script(sourceOf(0)).createCachedData();
let asked = 0;

/** Whether V8 takes what was compiled at the beginning, as it does for modules. */
const isTaken = (): boolean =>
  new Script(sourceOf(++asked), { cachedData }).cachedDataRejected === false;

const bytes = (count: number, resumed: number) =>
  ({
    type: 'bytes',
    target: { mediaType: OCI_LAYER, digest: sha256('layer'), size: 9 },
    bytes: count,
    resumed,
    shared: false,
  }) as const;

test('compiled code is taken until bytes come, and again after the download', () => {
  assert.ok(isTaken());
  {
    using nursery = new SmallNursery();
    nursery.hear({ type: 'resolving', reference: 'x' });
    nursery.hear(bytes(0, 0));
    nursery.hear(bytes(5, 5));
    assert.ok(isTaken());
    nursery.hear(bytes(6, 5));
    assert.ok(!isTaken(), 'no flag was set');
  }
  assert.ok(isTaken());
});
