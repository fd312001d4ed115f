import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { constants, gzipSync, zstdCompressSync } from 'node:zlib';
import { isCode } from '../../errors.ts';
import { sha256 } from '../../oci/digest.ts';
import { saidOfLimit, underFileLimit } from '../../testing/file-limit.ts';
import { needs } from '../../testing/need.ts';
import { prose } from '../../testing/prose.ts';
import { findRecipe, type Finding, type Found } from './find-recipe.ts';
import { followRecipe } from './follow-recipe.ts';
import { RecipeThread } from './recipe-thread.ts';

const TAR = prose(1_000_000);

/** @param run - gets a search for a recipe of `blob` */
async function within(
  blob: Buffer,
  run: (finding: Finding, directory: string) => Promise<void>,
): Promise<void> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'mica-recipe-'));
  const finding = {
    target: { mediaType: 'x', digest: sha256(blob), size: blob.length },
    blob: join(dir.path, 'blob'),
    tar: join(dir.path, 'tar'),
  };
  writeFileSync(finding.blob, blob);
  writeFileSync(finding.tar, TAR);
  await run(finding, dir.path);
}

function proven(found: Found): Extract<Found, { recipe: unknown }> {
  assert.ok('recipe' in found, JSON.stringify(found));
  return found;
}

const zstd = (level: number, checksum: number): Buffer =>
  zstdCompressSync(TAR, {
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: checksum,
    },
  });

const BLOBS: Readonly<Record<string, () => Buffer>> = {
  'a plain tar': () => TAR,
  gzip: () => gzipSync(TAR),
  'zstd of the default level': () => zstd(3, 0),
  'zstd of level 9 with a checksum': () => zstd(9, 1),
  'zstd of level 19': () => zstd(19, 0),
  'zstd that was made by threads': () =>
    zstdCompressSync(TAR, { params: { [constants.ZSTD_c_nbWorkers]: 2 } }),
};

for (const [name, make] of Object.entries(BLOBS))
  test(`${name} is made again from its tar and recipe alone`, async () => {
    const blob = make();
    await within(blob, async (finding, directory) => {
      const { recipe, data } = proven(await findRecipe(finding));
      assert.ok(data.length < blob.length / 20, `${data.length} of ${blob.length} bytes`);
      await using thread = new RecipeThread();
      const into = join(directory, 'again');
      await thread.follow({ target: finding.target, tar: finding.tar, recipe, data }, into);
      assert.ok(readFileSync(into).equals(blob));
    });
  });

test('bytes that no encoder of ours makes have no recipe, and it is said why', async () => {
  const strange = zstd(3, 0);
  // A raw block of an empty frame before it: legal, and nothing that libzstd would write.
  const frame = Buffer.concat([Buffer.from('28b52ffd2000010000', 'hex'), strange]);
  await within(frame, async (finding) => {
    const found = await findRecipe(finding);
    assert.match('reason' in found ? found.reason : '', /libzstd/);
  });
});

test(
  'another libzstd makes other bytes, for which there is no recipe',
  { skip: needs('zstd') },
  async (t) => {
    const version = /v([\d.]+)/.exec(
      execFileSync('zstd', ['--version'], { encoding: 'utf8' }),
    )?.[1];
    if (version === process.versions.zstd) return t.skip('it is the same version');
    const blob = execFileSync('zstd', ['-3', '-c'], { input: TAR, maxBuffer: 1 << 26 });
    await within(blob, async (finding) => {
      assert.ok('reason' in (await findRecipe(finding)));
    });
  },
);

test('a recipe is not proven when the tar is not the one of the blob', async () => {
  for (const blob of [gzipSync(TAR), zstd(3, 0)])
    await within(blob, async (finding) => {
      writeFileSync(finding.tar, Buffer.from(TAR).fill(0xaa, 500_000, 501_000));
      const found = await findRecipe(finding);
      assert.ok('reason' in found, JSON.stringify(found).slice(0, 200));
    });
});

test('following a recipe on a changed tar fails, and says that the bytes are lost', async () => {
  await within(gzipSync(TAR), async (finding) => {
    const found = proven(await findRecipe(finding));
    writeFileSync(finding.tar, Buffer.from(TAR).fill(0xaa, 700_000, 701_000));
    await assert.rejects(
      followRecipe({ target: finding.target, tar: finding.tar, ...found }, () => {}),
      (error) => isCode(error, 'DATA_LOSS'),
    );
  });
});

test('a search stops at once when it is told to', async () => {
  // So much that no machine is ready before.
  const large = Buffer.concat(Array.from({ length: 16 }, () => TAR));
  await within(gzipSync(large), async (finding) => {
    writeFileSync(finding.tar, large);
    await using thread = new RecipeThread();
    const stop = new AbortController();
    const reason = new Error('enough');
    const search = thread.find(finding, { signal: stop.signal });
    setTimeout(() => stop.abort(reason), 100);
    await assert.rejects(search, reason);
    await within(gzipSync(TAR), async (next) => {
      assert.ok('recipe' in (await thread.find(next)), 'another one begins');
    });
  });
});

test('a blob that is made again and becomes larger than files may be is named', () =>
  within(gzipSync(TAR), async (finding, directory) => {
    const { recipe, data } = proven(await findRecipe(finding));
    const into = join(directory, 'into');
    const following = { target: finding.target, tar: finding.tar, recipe };
    const script = join(directory, 'script');
    writeFileSync(script, data);
    const said = underFileLimit(`
      import { readFileSync } from 'node:fs';
      import { RecipeThread } from ${JSON.stringify(import.meta.resolve('./recipe-thread.ts'))};
      await using thread = new RecipeThread();
      const following = ${JSON.stringify(following)};
      const data = readFileSync(${JSON.stringify(script)});
      await thread.follow({ ...following, data }, ${JSON.stringify(into)}).catch(told);`);
    assert.ok(said.startsWith(saidOfLimit(into)), said);
  }));
