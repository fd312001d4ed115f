import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import type { Engine } from '../../src/engine/engine.ts';
import { readMountinfo } from '../../src/sys/mountinfo.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import {
  describeDirectory,
  type DescribeOptions,
  describeTree,
} from '../../src/testing/describe.ts';
import { BlobFixture } from '../../src/testing/image-fixture.ts';
import { needs } from '../../src/testing/need.ts';
import { openDockerRegistry } from '../../src/testing/repository/docker-registry.ts';
import type { Tree } from '../../src/testing/tree.ts';
import { dependent, independent, marks, opaqueRoot, repeated } from '../support/nasty.ts';
import { mountsBelow, openTemporaryEngine } from '../support/store.ts';

/** Images go the way that images go: built, pushed by skopeo, kept by docker-registry, pulled by us. */
const skip = needs('overlay', 'skopeo', 'umoci', 'docker-registry');
const run = promisify(execFile);

let registry: ReturnType<typeof openDockerRegistry> | undefined;
after(async () => (await registry)?.[Symbol.asyncDispose]());

interface Case {
  readonly name: string;
  readonly layers: readonly Tree[];
  /** Times that tools make up as they go are not compared. */
  readonly describe?: DescribeOptions;
}

const CASES: readonly Case[] = [
  { name: 'independent', layers: independent },
  { name: 'repeated', layers: repeated },
  { name: 'marks', layers: marks, describe: { root: false } },
  { name: 'opaque-root', layers: opaqueRoot },
  // What no layer describes has the time of its unpacking in other tools.
  { name: 'dependent', layers: dependent, describe: { directoryTimes: false } },
];

/** A store for all tests of a file: images share what layers they have in common. */
const STORES = [
  { driver: 'overlay2', compression: 'gzip' },
  { driver: 'overlay2', compression: 'zstd' },
  { driver: 'vfs', compression: 'gzip' },
  { driver: 'tar', compression: 'gzip' },
] as const;

const engines = new Map<object, ReturnType<typeof openTemporaryEngine>>();
const engineOf = (store: (typeof STORES)[number]): ReturnType<typeof openTemporaryEngine> => {
  const engine = engines.get(store) ?? openTemporaryEngine({ driver: store.driver });
  engines.set(store, engine);
  return engine;
};
after(async () => {
  for (const engine of engines.values()) await (await engine)[Symbol.asyncDispose]();
});

/** Pushes the image and tells its reference. */
async function push(one: Case, compression: 'gzip' | 'zstd'): Promise<string> {
  const { url } = await (registry ??= openDockerRegistry());
  const name = `${one.name}-${compression}`;
  const reference = `${new URL(url).host}/${name}:latest`;
  await using layout = await mkdtempDisposable(join(tmpdir(), 'layout-'));
  const fixture = new BlobFixture();
  const image = await fixture.image(one.layers, {
    compression,
    platform: hostPlatform(),
  });
  await fixture.writeLayout(layout.path, { latest: image.descriptor });
  const copy = ['copy', '--quiet', '--insecure-policy', '--dest-tls-verify=false'];
  await run('skopeo', [...copy, `oci:${layout.path}:latest`, `docker://${reference}`]);
  return reference;
}

const trees = new Map<Case, Promise<string>>();

/** What umoci makes of the layers. It knows no zstd, and gets them as gzip. */
const unpacked = (one: Case): Promise<string> => {
  const tree = trees.get(one) ?? unpack(one);
  trees.set(one, tree);
  return tree;
};

async function unpack({ layers, describe = {} }: Case): Promise<string> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'umoci-'));
  const [layout, bundle] = [join(work.path, 'layout'), join(work.path, 'bundle')];
  await mkdir(layout);
  const fixture = new BlobFixture();
  const { descriptor } = await fixture.image(layers, { platform: hostPlatform() });
  await fixture.writeLayout(layout, { latest: descriptor });
  await run('umoci', ['unpack', '--image', `${layout}:latest`, bundle]);
  return describeDirectory(join(bundle, 'rootfs'), describe);
}

for (const store of STORES)
  for (const one of CASES)
    test(
      `umoci and ${store.driver} unpack ${one.name} ${store.compression} layers alike`,
      { skip },
      async () => {
        const [reference, expected] = [await push(one, store.compression), await unpacked(one)];
        const engine = await engineOf(store);
        await engine.pull(reference);
        await using tree = await engine.tree(reference);
        assert.equal(await describeTree(tree, one.describe), expected, 'union');
        if (store.driver !== 'tar')
          assert.equal(await mountedByUs(engine, reference, one.describe), expected, 'mount');
        assert.deepEqual((await engine.check()).problems, []);
        assert.deepEqual(mountsBelow(engine.root), []);
      },
    );

async function mountedByUs(
  engine: Engine,
  reference: string,
  options?: DescribeOptions,
): Promise<string> {
  const { target } = await engine.mount(reference);
  try {
    return describeDirectory(target, options);
  } finally {
    await engine.unmount(target);
  }
}

test(
  'podman mounts of an image with zstd layers what we mount',
  { skip: skip || needs('podman') },
  async () => {
    const reference = await push(CASES[0]!, 'zstd');
    const engine = await engineOf(STORES[1]);
    await engine.pull(reference);
    // Podman 4 gives every root the mode 0555, and nothing a time before 1970.
    const comparable = (text: string): string[] =>
      text.split('\n').filter((line) => !/^\/(etc\/before-1970)?\t/.test(line));
    assert.deepEqual(
      comparable(await mountedByUs(engine, reference)),
      comparable(await mountedByPodman(reference)),
    );
  },
);

async function mountedByPodman(reference: string): Promise<string> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'podman-'));
  const [root, state] = [join(work.path, 'root'), join(work.path, 'run')];
  const podman = async (...args: string[]): Promise<string> => {
    const store = ['--root', root, '--runroot', state, '--storage-driver', 'overlay'];
    return (await run('podman', [...store, ...args])).stdout.trim();
  };
  await podman('pull', '--quiet', '--tls-verify=false', reference);
  const mounted = await podman('image', 'mount', reference);
  try {
    return describeDirectory(mounted);
  } finally {
    await podman('image', 'umount', '--force', reference);
    for (const { target } of readMountinfo())
      if (target.startsWith(`${work.path}/`)) await run('umount', [target]);
  }
}
