import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTemporaryRegistry } from '../../src/distribution/temporary.ts';
import type { Platform } from '../../src/oci/platform.ts';
import { hostPlatform } from '../../src/oci/platform.ts';
import { type FaultProxy, type FaultRule, openFaultProxy } from '../../src/testing/fault-proxy.ts';
import {
  BlobFixture,
  type FixtureOptions,
  type ImageFixture,
} from '../../src/testing/image-fixture.ts';
import { Client } from '../../src/testing/repository/client.ts';
import { pushFixture } from '../../src/testing/repository/push-fixture.ts';
import type { Tree } from '../../src/testing/tree.ts';

/** A registry with images that tests have put there, and ways to it that are as bad as a test wants. */
export interface Origin extends AsyncDisposable {
  readonly url: string;
  /** Makes an image of this machine's platform and pushes it as `name:latest`. */
  image(name: string, layers: readonly Tree[], options?: FixtureOptions): Promise<ImageFixture>;
  /** Pushes what was made with {@link fixture}. */
  push(name: string, image: ImageFixture): Promise<void>;
  readonly fixture: BlobFixture;
  /** A file of credentials, as podman has it, with which one may push. */
  readonly authFile: string;
  /** A new way to the registry. */
  proxy(...rules: FaultRule[]): Promise<FaultProxy>;
}

const TOKEN = 'a-token-for-tests';

export async function openOrigin(): Promise<Origin> {
  await using stack = new AsyncDisposableStack();
  const registry = stack.use(await openTemporaryRegistry({ writable: { token: TOKEN } }));
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-origin-')));
  const { url } = registry;
  const authFile = join(directory.path, 'auth.json');
  const auth = Buffer.from(`me:${TOKEN}`).toString('base64');
  await writeFile(authFile, JSON.stringify({ auths: { [new URL(url).host]: { auth } } }));
  const client = new Client({ url, authorization: `Bearer ${TOKEN}` });
  const fixture = new BlobFixture();
  const platform: Platform = hostPlatform();
  const push = (name: string, image: ImageFixture): Promise<void> =>
    pushFixture(client, name, fixture, image, 'latest');
  const all = stack.move();
  return {
    url,
    fixture,
    authFile,
    push,
    async image(name, layers, options = {}) {
      const image = await fixture.image(layers, { platform, ...options });
      await push(name, image);
      return image;
    },
    proxy: (...rules) => openFaultProxy({ upstream: url, rules }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
