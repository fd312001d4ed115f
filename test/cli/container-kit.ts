import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { driverNamed } from '../../src/testing/drivers/table.ts';
import { needs } from '../../src/testing/need.ts';
import { file, link, tree } from '../../src/testing/tree.ts';
import { type Kit, type Outcome, openKit, runMica, type Surroundings } from './kit.ts';

/** What tests that run containers need. */
export const skip: string | false = needs('overlay', 'busybox', 'crun');

const APPLETS =
  'sh true false cat echo id ls sleep touch rm mkdir env pwd test wc grep kill stty hostname mv chmod ln readlink seq head';

export interface ContainerKit {
  readonly kit: Kit;
  mica(line: string | readonly string[], surroundings?: Surroundings): Promise<Outcome>;
  /** As {@link mica}; fails unless the exit code is 0. @returns standard output */
  ok(line: string | readonly string[], surroundings?: Surroundings): Promise<string>;
  /** Ends and removes all that is there. */
  clear(): Promise<void>;
}

/** A store that can run containers, with the image `box`: busybox, two layers. */
export async function openContainerKit(
  driver = 'overlay2',
): Promise<ContainerKit & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const environment = stack.use(await driverNamed(driver).environment?.({ small: false }));
  const kit = stack.use(await openKit(environment?.path));
  const busybox = readFileSync(
    execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim(),
  );
  const base = tree({
    'bin/busybox': file(busybox, { mode: 0o755 }),
    ...Object.fromEntries(APPLETS.split(' ').map((name) => [`bin/${name}`, link('busybox')])),
    'etc/passwd': file('root:x:0:0::/root:/bin/sh\njoe:x:1000:1000::/home/joe:/bin/sh\n'),
    'data/one': file('one'),
    'data/two': file('two'),
  });
  await kit.origin.image('box', [base, tree({ 'data/three': file('three') })], {
    config: { Env: ['PATH=/bin', 'FROM_IMAGE=yes'], Cmd: ['sh', '-c', 'echo default'] },
  });
  const options = (await environment?.options?.(join(kit.root, 'layers'))) ?? [];
  const config = join(kit.root, '..', 'mica.json');
  if (options.length > 0) writeFileSync(config, JSON.stringify({ 'storage-opts': options }));
  const chosen = ['--storage-driver', driver, ...(options.length > 0 ? ['--config', config] : [])];
  const mica: ContainerKit['mica'] = (line, surroundings) => {
    const words = typeof line === 'string' ? line.split(' ') : line;
    return runMica(['--root', kit.root, ...chosen, ...words], surroundings);
  };
  const ok: ContainerKit['ok'] = async (line, surroundings) => {
    const { code, stdout, stderr } = await mica(line, surroundings);
    if (code !== 0) throw new Error(`mica ${String(line)}: exit code ${code}\n${stdout}${stderr}`);
    return stdout;
  };
  const clear = async (): Promise<void> => {
    const ids = (await ok('ps -aq')).split('\n').filter((id) => id !== '');
    if (ids.length > 0) await ok(['rm', '-f', ...ids]);
  };
  await ok(`pull -q ${kit.registry}/box`);
  await ok(`tag ${kit.registry}/box box`);
  stack.defer(clear);
  const all = stack.move();
  return { kit, mica, ok, clear, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
