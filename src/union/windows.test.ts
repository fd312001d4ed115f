import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DiffId } from '../oci/digest.ts';
import type { LayerForm } from '../snapshot/driver.ts';
import { unpackTar } from '../testing/unpack-stack.ts';
import { windowsTar, type WindowsMember } from '../testing/windows-layer.ts';
import { storedLayer } from './stored.ts';
import type { UnionTree } from './tree.ts';
import { openUnion } from './union.ts';

const dir = (path: string): WindowsMember => ({ path, kind: 'directory' });

/** Unpacks the layers, base first, and shows them as an image for Windows. */
async function within(
  stack: readonly (readonly WindowsMember[])[],
  form: LayerForm,
  use: (tree: UnionTree) => Promise<void> | void,
): Promise<void> {
  await using scratch = await mkdtempDisposable(join(tmpdir(), 'windows-union-'));
  const parents: { directory: string; diffId: DiffId; form: LayerForm }[] = [];
  for (const [at, members] of stack.entries()) {
    const directory = join(scratch.path, String(at));
    await mkdir(directory);
    const { diffId } = await unpackTar(windowsTar(members), { form, directory, parents });
    parents.unshift({ directory, diffId, form });
  }
  const layers = parents.toReversed().map(({ directory }) =>
    storedLayer(directory, form, {
      tarOf: (hex) => {
        const found = parents.find(({ diffId }) => diffId.endsWith(hex));
        return found && join(found.directory, 'layer.tar');
      },
    }),
  );
  await using tree = openUnion(layers, { os: 'windows' });
  await use(tree);
}

const list = (tree: UnionTree): string[] => [...tree.walk('/')].map(({ path }) => path).slice(1);
const read = async (tree: UnionTree, path: string): Promise<string> =>
  (await tree.readFile(path)).toString();

const FORMS = ['windows', 'tar'] as const;
const BASE = [
  dir('Files/Windows'),
  dir('Files/Windows/System32'),
  { path: 'Files/Windows/System32/kernel32.dll', content: 'kernel', streams: { note: 'side' } },
  { path: 'Files/Windows/System32/Old.dll', content: 'old' },
  {
    path: 'Files/Users',
    kind: 'symlink',
    target: 'C:\\windows',
    mountPoint: true,
    attributes: 0x10,
  },
] as const;

for (const form of FORMS) {
  test(`in form ${form}, directories merge whatever their case, and are called as the topmost layer calls them`, () =>
    within(
      [
        BASE,
        [
          dir('Files/WINDOWS'),
          dir('Files/WINDOWS/system32'),
          { path: 'Files/WINDOWS/system32/new.dll', content: 'new' },
        ],
      ],
      form,
      async (tree) => {
        assert.deepEqual(list(tree), [
          '/Files',
          '/Files/Users',
          '/Files/WINDOWS',
          '/Files/WINDOWS/system32',
          '/Files/WINDOWS/system32/Old.dll',
          '/Files/WINDOWS/system32/kernel32.dll',
          '/Files/WINDOWS/system32/kernel32.dll:note',
          '/Files/WINDOWS/system32/new.dll',
          '/Hives',
        ]);
        assert.equal(await read(tree, '/files/windows/SYSTEM32/KERNEL32.DLL'), 'kernel');
        assert.equal(await read(tree, 'C:\\Windows\\System32\\kernel32.dll:note'), 'side');
        assert.equal(await read(tree, '/Files/Users/System32/new.dll'), 'new');
        assert.deepEqual(tree.resolve('c:\\users\\system32').path, '/Files/WINDOWS/system32');
      },
    ));

  test(`in form ${form}, a name is deleted and replaced whatever its case`, () =>
    within(
      [
        BASE,
        [
          dir('Files/windows'),
          dir('Files/windows/system32'),
          { path: 'Files/windows/system32/OLD.DLL', kind: 'tombstone' },
          { path: 'Files/windows/system32/KERNEL32.DLL', content: 'newer' },
        ],
      ],
      form,
      async (tree) => {
        assert.deepEqual(
          tree.readdir('/Files/Windows/System32').map(({ name }) => name),
          ['KERNEL32.DLL', 'kernel32.dll:note'],
        );
        assert.equal(await read(tree, '/Files/Windows/System32/kernel32.dll'), 'newer');
        assert.deepEqual(
          tree.history('/Files/Windows/System32/old.dll').map(({ layer, kind }) => [layer, kind]),
          [
            [1, 'deletes'],
            [0, 'hidden'],
          ],
        );
        const versions = new Map<string, number>();
        tree.survey(({ path, versions: all }) => void versions.set(path, all.length));
        assert.equal(versions.get('/Files/windows/system32/KERNEL32.DLL'), 2);
      },
    ));

  test(`in form ${form}, a layer that calls one directory in two ways has it once`, () =>
    within(
      [
        BASE,
        [
          dir('Files/windows'),
          dir('Files/windows/system32'),
          { path: 'Files/windows/system32/old.dll', kind: 'tombstone' },
          {
            path: 'Files/windows/system32/k.dll',
            kind: 'link',
            target: 'Files/Windows/System32/kernel32.dll',
          },
        ],
      ],
      form,
      async (tree) => {
        assert.deepEqual(
          tree.readdir('/Files/WINDOWS/system32').map(({ name }) => name),
          ['k.dll', 'kernel32.dll', 'kernel32.dll:note'],
        );
        assert.equal(await read(tree, '/Files/windows/system32/k.dll'), 'kernel');
        assert.equal(await read(tree, '/Files/windows/system32/kernel32.dll'), 'kernel');
      },
    ));

  test(`in form ${form}, a hard link to a lower layer's file has its content, under both names`, () =>
    within(
      [
        BASE,
        [
          dir('Files/app'),
          { path: 'Files/app/k.dll', kind: 'link', target: 'Files/Windows/System32/kernel32.dll' },
        ],
      ],
      form,
      async (tree) => {
        assert.equal(await read(tree, '/Files/app/k.dll'), 'kernel');
        assert.equal(await read(tree, '/Files/Windows/System32/kernel32.dll'), 'kernel');
        assert.equal(
          tree.stat('/Files/app/k.dll').ino,
          tree.stat('C:/windows/system32/kernel32.dll').ino,
        );
      },
    ));
}

test('on another system the same layers have names with case, and no drives', () =>
  within([BASE], 'tar', async () => {
    await using scratch = await mkdtempDisposable(join(tmpdir(), 'windows-union-'));
    await unpackTar(windowsTar(BASE), { form: 'tar', directory: scratch.path, parents: [] });
    await using tree = openUnion([storedLayer(scratch.path, 'tar')]);
    assert.throws(() => tree.stat('/files'), { code: 'NOT_FOUND' });
    assert.throws(() => tree.stat('C:\\Windows'), { code: 'NOT_FOUND' });
  }));

test('links in a circle, and out of all drives, end with a code', () =>
  within(
    [
      [
        { path: 'Files/a', kind: 'symlink', target: '.\\b' },
        { path: 'Files/b', kind: 'symlink', target: 'C:\\A' },
        {
          path: 'Files/v',
          kind: 'symlink',
          target: '\\\\?\\Volume{0}\\',
          mountPoint: true,
          attributes: 0x10,
        },
        { path: 'Files/up', kind: 'symlink', target: '..\\..\\..\\etc\\passwd' },
      ],
    ],
    'windows',
    (tree) => {
      assert.throws(() => tree.stat('/Files/a'), { code: 'FAILED_PRECONDITION' });
      assert.throws(() => tree.stat('/Files/v'), { code: 'NOT_FOUND' });
      assert.throws(() => tree.stat('/Files/up'), { code: 'NOT_FOUND' });
    },
  ));

/** What NTFS would show: one name for each, whatever its case. */
const model = (stack: readonly (readonly WindowsMember[])[]): string[] => {
  const files = new Map<string, string>();
  for (const members of stack)
    for (const { path, kind, content } of members)
      if (kind === 'tombstone') files.delete(path.toUpperCase());
      else files.set(path.toUpperCase(), String(content));
  return [...files].map(([path, content]) => `${path} ${content}`).toSorted();
};

test('whatever layers do to names in whatever case, the stack shows what one directory without case would', () => {
  const name = fc.constantFrom('a', 'A', 'b', 'B', 'ä', 'Ä', 'straße');
  const member = fc.record({ name, gone: fc.boolean(), content: fc.string({ maxLength: 3 }) });
  const layer = fc
    .uniqueArray(member, { selector: (one) => one.name.toUpperCase(), maxLength: 5 })
    .map((members) =>
      members.map(
        ({ name: own, gone, content }): WindowsMember =>
          gone ? { path: `Files/${own}`, kind: 'tombstone' } : { path: `Files/${own}`, content },
      ),
    );
  return fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (layers) => {
      const stack = [[], ...layers];
      for (const form of FORMS)
        await within(stack, form, async (tree) => {
          const shown: string[] = [];
          for (const { path } of tree
            .readdir('/Files')
            .map(({ name: own }) => ({ path: `Files/${own}` })))
            shown.push(`${path.toUpperCase()} ${await read(tree, path)}`);
          assert.deepEqual(shown.toSorted(), model(stack));
        });
    }),
    { numRuns: 40 },
  );
});

test('a file that is gone from the directory is a loss, not an absence', () =>
  within([[{ path: 'Files/a', content: 'a' }]], 'windows', async (tree) => {
    assert.equal(await read(tree, '/Files/a'), 'a');
    await using scratch = await mkdtempDisposable(join(tmpdir(), 'windows-union-'));
    await unpackTar(windowsTar([{ path: 'Files/a', content: 'a' }]), {
      form: 'windows',
      directory: scratch.path,
      parents: [],
    });
    await using other = openUnion([storedLayer(scratch.path, 'windows')], { os: 'windows' });
    await rm(join(scratch.path, 'fs/Files/a'));
    await assert.rejects(other.readFile('/Files/a'), { code: 'DATA_LOSS' });
  }));
