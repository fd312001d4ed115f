import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openEngine } from '../../src/engine/open.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Environment } from '../../src/testing/drivers/suite.ts';
import { driverNamed, drivers } from '../../src/testing/drivers/table.ts';
import { needs } from '../../src/testing/need.ts';
import type { Tree } from '../../src/testing/tree.ts';
import { assertOnly, contentOf, mountsOf } from '../support/migrated.ts';
import { dependent, independent, marks, opaqueRoot, repeated } from '../support/nasty.ts';
import { openOrigin } from '../support/origin.ts';
import { mountsBelow } from '../support/store.ts';

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
/** The ways in which layers are kept: each is changed into each. */
const KINDS = ['erofs', 'overlay2', 'vfs', 'tar'];
/** Other drivers of the table keep them in one of these ways: each is changed from and into two, and the next. */
const OTHERS = drivers
  .filter(({ name, limits }) => !KINDS.includes(name) && !name.includes(',') && !limits?.mountless)
  .map(({ name }) => name);
const works = (name: string): boolean => driverNamed(name).skip === false;
/** Both keep a layer as its tar and its index. */
const ALIKE = new Set(['erofs', 'tar']);
type Pair = readonly [from: string, to: string];
const both = (from: string, to: string): Pair[] => [
  [from, to],
  [to, from],
];
const PAIRS: readonly Pair[] = [
  ...KINDS.flatMap((from) => KINDS.flatMap((to): Pair[] => (to === from ? [] : [[from, to]]))),
  ...OTHERS.flatMap((other) => [...both('erofs', other), ...both('vfs', other)]),
  ...OTHERS.filter(works).flatMap((other, at, all): Pair[] =>
    at > 0 ? [[all[at - 1]!, other]] : [],
  ),
];

const skipOf = (...names: string[]): string | false =>
  skip || (names.map((name) => driverNamed(name).skip).find(Boolean) ?? false);

const sourceOf = (from: string, to: string): string => {
  if (!ALIKE.has(from)) return 'blob';
  return ALIKE.has(to) ? 'kept' : 'tar';
};

/** The same with owners and times that files can have with both drivers. */
function withinLimits(layers: readonly Tree[], ...names: string[]): readonly Tree[] {
  const limits = names.map((name) => driverNamed(name).limits);
  const owner = Math.min(...limits.map((limit) => limit?.owners?.most ?? Infinity));
  const time = Math.min(...limits.map((limit) => limit?.times?.last ?? Infinity));
  return layers.map((layer) =>
    layer.map((member) => ({
      ...member,
      uid: Math.min(member.uid, owner),
      gid: Math.min(member.gid, owner),
      mtime: Math.min(member.mtime, time),
      // Where times end early they have whole seconds.
      mtimeNs: time === Infinity ? member.mtimeNs : 0,
    })),
  );
}

/** What drivers need to work on, once for all tests. */
const places = new Map<string, Promise<Environment>>();
after(async () => {
  for (const place of places.values()) await (await place)[Symbol.asyncDispose]();
});

async function placesOf(names: readonly string[]): Promise<Environment[]> {
  const found: Environment[] = [];
  for (const name of names) {
    const { environment } = driverNamed(name);
    if (environment === undefined) continue;
    if (!places.has(name)) places.set(name, environment({ small: false }));
    found.push(await places.get(name)!);
  }
  return found;
}

/** A store where both drivers work: on the file system of one, with what the other is told. */
async function openBetween(
  from: string,
  to: string,
): Promise<Engine & { readonly told: readonly string[] }> {
  await using stack = new AsyncDisposableStack();
  const own = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-between-')));
  const needed = await placesOf([from, to]);
  const place = needed.find(({ options }) => options === undefined) ?? needed[0];
  const root = join(await mkdtemp(join(place?.path ?? own.path, 'between-')), 'store');
  const told: string[] = [];
  for (const { options } of needed) told.push(...((await options?.(join(root, 'layers'))) ?? []));
  const engine = stack.use(await openEngine({ root, driver: from, driverOptions: told }));
  const all = stack.move();
  return { ...engine, told, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

for (const [from, to] of PAIRS)
  test(
    `images are the same after a migration from ${from} to ${to}`,
    { skip: skipOf(from, to) },
    async () => {
      const there = await origin;
      await using first = await openBetween(from, to);
      for (const [name, layers] of Object.entries(IMAGES)) {
        await there.image(name, withinLimits(layers, from, to));
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
      await using engine = await openEngine({ root, driverOptions: first.told });
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
