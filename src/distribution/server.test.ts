import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RegistryUnderTest, testRepository } from '../testing/repository.ts';
import { directoryBackend } from './backend/directory.ts';
import { serveRegistry } from './server.ts';

const token = 'a-token-for-tests';

testRepository({
  name: 'of a directory',
  async open(): Promise<RegistryUnderTest & AsyncDisposable> {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-registry-')));
    const backend = stack.use(await directoryBackend(directory.path));
    const { url } = stack.use(await serveRegistry({ backend, writable: { token } }));
    const all = stack.move();
    const authorization = `Bearer ${token}`;
    return { url, authorization, [Symbol.asyncDispose]: () => all.disposeAsync() };
  },
});
