import fs, { type FileHandle } from 'node:fs/promises';
import files, { readlinkSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** What a process has done for what it wrote to outlast a loss of power, in this order. */
export interface Durability extends AsyncDisposable {
  /** `sync PATH` and `rename FROM TO`; a sync counts when it has ended. */
  readonly steps: readonly string[];
}

type Call = (this: unknown, ...parameters: never[]) => unknown;

/** Notes each sync and rename that Node is asked for from now on, all of which it does. Linux only. */
export async function watchDurability(): Promise<Durability> {
  const steps: string[] = [];
  const undo: (() => void)[] = [];
  const noted = (holder: object, name: string, step: (...parameters: never[]) => string): void => {
    const methods = holder as Record<string, Call>;
    const original = methods[name]!;
    methods[name] = function (this: unknown, ...parameters) {
      const what = step.apply(this, parameters);
      const result = original.apply(this, parameters);
      if (result instanceof Promise) return result.then((value) => (steps.push(what), value));
      steps.push(what);
      return result;
    };
    undo.push(() => (methods[name] = original));
  };
  const pathOf = (fd: number): string => readlinkSync(`/proc/self/fd/${fd}`);
  const renamed = (from: string, to: string): string => `rename ${from} ${to}`;
  await using any = await fs.open('/proc/self/fd');
  const handles = Object.getPrototypeOf(any) as object;
  for (const name of ['sync', 'datasync'])
    noted(handles, name, function (this: FileHandle) {
      return `sync ${pathOf(this.fd)}`;
    });
  for (const name of ['fsyncSync', 'fdatasyncSync'])
    noted(files, name, (fd: number) => `sync ${pathOf(fd)}`);
  noted(files, 'renameSync', renamed);
  noted(fs, 'rename', renamed);
  syncBuiltinESMExports();
  return {
    steps,
    async [Symbol.asyncDispose]() {
      for (const restore of undo.reverse()) restore();
      syncBuiltinESMExports();
    },
  };
}
