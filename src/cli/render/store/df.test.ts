import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ledger } from '../../../explain/ledger.ts';
import { sha256 } from '../../../oci/digest.ts';
import { renderUsage } from './df.ts';

const digest = sha256('x');
const inventory = {
  images: [],
  blobs: [{ digest, bytes: 4096, kind: 'layer' }],
  layers: [],
  partials: [],
  containers: [],
  metadata: 0,
} as const;

const lastLine = (young: boolean): string =>
  renderUsage(ledger({ ...inventory, young: new Set(young ? [digest] : []) }), false)
    .trim()
    .split('\n')
    .at(-1)!;

test('what mica gc leaves because it is young is not said to be freed by it now', () => {
  assert.equal(lastLine(false), 'Would be freed: 4.1kB by mica gc');
  assert.equal(
    lastLine(true),
    'Would be freed: 0B by mica gc (4.1kB more once it is a day old: somebody may be about to use it)',
  );
});
