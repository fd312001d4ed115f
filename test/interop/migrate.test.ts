import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openEngine } from '../../src/engine/open.ts';
import type { Environment } from '../../src/testing/drivers/suite.ts';
import { driverNamed } from '../../src/testing/drivers/table.ts';
import { needs } from '../../src/testing/need.ts';
import type { Tree } from '../../src/testing/tree.ts';
import { assertOnly, contentOf, mountsOf } from '../support/migrated.ts';
import { dependent, independent, marks, opaqueRoot, repeated } from '../support/nasty.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

/** A store changes its driver, and nobody who looks at its images can tell. */
const skip = needs('overlay');
const origin = openOrigin();
after(async () => (await origin)[Symbol.asyncDispose]());

const IMAGES: Readonly<Record<string, readonly Tree[]>> = {
  independent,
  repeated,
  marks,
  'opaque-root': opaqueRoot,
  dependent,
};
const DRIVERS = ['erofs', 'overlay2', 'vfs', 'tar'];
/** Both keep a layer as its tar and its index. */
const ALIKE = new Set(['erofs', 'tar']);
const PAIRS = [
  ...DRIVERS.flatMap((from) =>
    DRIVERS.filter((to) => to !== from).map((to) => [from, to] as const),
  ),
  ...['erofs', 'vfs'].flatMap((other) => [[other, 'btrfs'] as const, ['btrfs', other] as const]),
];

const skipOf = (...drivers: string[]): string | false =>
  skip || needs(...(['erofs', 'btrfs'] as const).filter((name) => drivers.includes(name)));

/** File systems that drivers need. */
const places = new Map<string, Promise<Environment>>();
after(async () => {
  for (const place of places.values()) await (await place)[Symbol.asyncDispose]();
});

async function placeOf(...all: string[]): Promise<string | undefined> {
  for (const name of all) {
    const { environment } = driverNamed(name);
    if (environment === undefined) continue;
    if (!places.has(name)) places.set(name, environment({ small: false }));
    return (await places.get(name))?.path;
  }
  return undefined;
}

const sourceOf = (from: string, to: string): string => {
  if (!ALIKE.has(from)) return 'blob';
  return ALIKE.has(to) ? 'kept' : 'tar';
};

for (const [from, to] of PAIRS)
  test(
    `images are the same after a migration from ${from} to ${to}`,
    { skip: skipOf(from, to) },
    async () => {
      const there = await origin;
      const place = await placeOf(from, to);
      await using first = await openTemporaryEngine({ driver: from }, place);
      for (const [name, layers] of Object.entries(IMAGES)) {
        await there.image(name, layers);
        await first.pull(`${new URL(there.url).host}/${name}`);
      }
      const { root } = first;
      const before = await contentOf(first);
      const mounted = from === 'tar' ? undefined : await mountsOf(first);
      const plan = await first.migrate({ driver: to, dryRun: true });
      assert.deepEqual(plan.obstacles, []);
      assert.ok(plan.layers.every(({ source }) => source === sourceOf(from, to)));
      const done = await first.migrate({ driver: to });
      assert.deepEqual({ ...done, free: 0 }, { ...plan, free: 0 });

      const trash = join(root, 'layers', '.trash');
      assert.deepEqual(existsSync(trash) ? readdirSync(trash) : [], []);

      // The engine that did it has the wrong driver configured now.
      await assert.rejects(first.driver(), {
        code: 'FAILED_PRECONDITION',
        message: /mica migrate/,
      });
      await using engine = await openEngine({ root });
      assert.deepEqual(await contentOf(engine), before);
      if (to !== 'tar' && mounted !== undefined) assert.deepEqual(await mountsOf(engine), mounted);
      if (to !== 'tar') assert.equal(Object.keys(await mountsOf(engine)).length, 5);
      await assertOnly(engine, to);
      assert.deepEqual(mountsBelow(root), []);
      // What it has can be pulled again without work, and goes with its image.
      const { upToDate } = await engine.pull(`${new URL(there.url).host}/dependent`);
      assert.equal(upToDate, true);
      for (const { id } of await engine.images()) await engine.remove(id, { force: true });
      await engine.gc();
      assert.equal((await engine.info()).layers, 0);
    },
  );
