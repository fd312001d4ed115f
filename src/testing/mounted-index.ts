import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/**
 * Mounts an EROFS image by the system's own `mount`, through loop devices, as any kernel and any file
 * system under the files allows. Needs `erofs` and `loop`. Undone when disposed of.
 * @param devices - files of its extra devices, the first one first
 * @param target - made if it is missing
 */
export function mountIndex(image: string, devices: readonly string[], target: string): Disposable {
  using undo = new DisposableStack();
  mkdirSync(target, { recursive: true });
  const [device, ...extra] = [image, ...devices].map((path) => {
    const loop = run('losetup', '--find', '--show', '--read-only', path);
    undo.defer(() => run('losetup', '--detach', loop));
    return loop;
  });
  const options = ['ro', ...extra.map((path) => `device=${path}`)].join();
  run('mount', '-t', 'erofs', '-o', options, device!, target);
  undo.defer(() => run('umount', target));
  return undo.move();
}

const run = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
