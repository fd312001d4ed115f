import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { RegistryUnderTest } from './client.ts';

/** Docker's own registry, as Debian packages it, on a free port of loopback and a new directory. */
export async function openDockerRegistry(): Promise<RegistryUnderTest & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'docker-registry-')));
  const config = join(directory.path, 'config.json');
  await writeFile(config, JSON.stringify(configOf(directory.path)));
  const child = spawn('docker-registry', ['serve', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  stack.defer(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const url = `http://${await addressOf(child.stderr)}`;
  const all = stack.move();
  return { url, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** The configuration is YAML; JSON is YAML. */
const configOf = (directory: string): object => ({
  version: 0.1,
  log: { level: 'info', accesslog: { disabled: true } },
  storage: { filesystem: { rootdirectory: directory }, delete: { enabled: true } },
  // The port that it is given it tells: one that was found free before may be somebody else's by now.
  http: { addr: '127.0.0.1:0' },
});

/** Where it listens. What it says then is read, too, and thrown away: else it would wait for a reader. */
async function addressOf(said: Readable): Promise<string> {
  const lines: string[] = [];
  try {
    for await (const line of createInterface(said)) {
      lines.push(line);
      const [, address] = /listening on (127\.0\.0\.1:\d+)/.exec(line) ?? [];
      if (address !== undefined) return address;
    }
  } finally {
    said.resume();
  }
  throw new Error(`docker-registry did not start:\n${lines.join('\n')}`);
}
