import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { inUserNamespace } from '../../sys/userns.ts';
import { describeDirectory } from '../../testing/describe.ts';
import { type EditedBy, edited, tarOfChanges } from '../../testing/edited-stack.ts';
import { layerListing } from '../../testing/layer-listing.ts';
import { isMet, needs } from '../../testing/need.ts';
import { applyEdits, randomEdits, RICH_EDITS } from '../../testing/random-edits.ts';
import { char, dir, file, link, type Tree, tarOf, tree } from '../../testing/tree.ts';
import { unpackStack } from '../../testing/unpack-stack.ts';

/** Later than everything in the layers below, and before everything that is edited. */
const sourceDateEpoch = 1_700_000_000;

const BASE: readonly Tree[] = [
  tree({
    'a/a': file('base a/a'),
    'a/b/a': file('base a/b/a', { uid: 7, xattrs: { 'user.note': 'x' } }),
    'a/b/c': link('a'),
    'b/a': file('base b/a'),
    'b/b': dir({ mode: 0o1777 }),
    // Where devices cannot exist, only an upper directory knows that one was deleted with all its neighbours.
    ...(!inUserNamespace() && { 'b/null': char(1, 3) }),
    c: file('base c', { mode: 0o4755, xattrs: { 'trusted.note': 'x', 'security.ima': 'x' } }),
  }),
  tree({ 'a/b/b': file('second a/b/b'), 'b/c/a': file('second b/c/a'), 'b/c/b': file('') }),
];

const KINDS: readonly EditedBy[] = ['vfs', 'overlay2', ...(['aufs'] as const).filter(isMet)];

test(
  'the same edits give the same archive by an upper directory and by comparison, and that the edited tree',
  { skip: needs('overlay') },
  async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'diff-laws-'));
    const tars = BASE.map(tarOf);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const place = join(work.path, String(run++));
        const [edits] = randomEdits(seed, { snapshots: 1, edits: 12, types: RICH_EDITS });
        const archives: Buffer[] = [];
        for (const kind of KINDS) {
          const { changes, tree: wanted } = await edited(tars, kind, place + kind, (root) =>
            applyEdits(root, edits!),
          );
          archives.push(await tarOfChanges(changes, { sourceDateEpoch }));
          const all = [...tars, await tarOfChanges(changes)];
          const layers = await unpackStack(all, 'direct', `${place}${kind}-again`);
          assert.equal(describeDirectory(join(layers.at(-1)!.directory, 'fs')), wanted, kind);
        }
        const [copy, ...others] = archives;
        for (const [at, upper] of others.entries()) {
          const kind = KINDS[at + 1]!;
          assert.equal(layerListing(upper), layerListing(copy!), kind);
          assert.ok(upper.equals(copy!), kind);
        }
      }),
      { numRuns: 25 },
    );
  },
);
