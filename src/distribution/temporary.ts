import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeBackend, type WritableStoreBackend } from './backend/store.ts';
import { type RegistryServer, type RegistryServerOptions, serveRegistry } from './server.ts';

export interface TemporaryRegistry extends RegistryServer {
  readonly backend: WritableStoreBackend;
}

/** An empty registry on loopback that is gone, with all it holds, when it is disposed. */
export async function openTemporaryRegistry(
  options: Omit<RegistryServerOptions, 'backend'> = {},
): Promise<TemporaryRegistry> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'mica-registry-')));
  const root = join(directory.path, 'store');
  const backend = stack.use(await storeBackend(root, { writable: true }));
  const server = stack.use(await serveRegistry({ ...options, backend }));
  const all = stack.move();
  const { url, address, port } = server;
  return { url, address, port, backend, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
