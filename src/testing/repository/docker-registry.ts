import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RegistryUnderTest } from './client.ts';

/** Docker's own registry, as Debian packages it, on a free port of loopback and a new directory. */
export async function openDockerRegistry(): Promise<RegistryUnderTest & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'docker-registry-')));
  const port = await freePort();
  const config = join(directory.path, 'config.json');
  await writeFile(config, JSON.stringify(configOf(directory.path, port)));
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  stack.defer(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const url = `http://127.0.0.1:${port}`;
  await ready(url);
  const all = stack.move();
  return { url, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The configuration is YAML; JSON is YAML. */
const configOf = (directory: string, port: number): object => ({
  version: 0.1,
  log: { level: 'error', accesslog: { disabled: true } },
  storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true } },
  http: { addr: `127.0.0.1:${port}` },
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function ready(url: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const reply = await fetch(`${url}/v2/`).catch(() => undefined);
    if (reply?.ok) return;
    if (attempt === 200) throw new Error('docker-registry does not answer');
    await sleep(25);
  }
}
