import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** A pull as a process of its own. */
export interface PullProcess {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What it printed, for messages of failures. */
  readonly output: string;
}

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

export function spawnPull(root: string, driver: string, reference: string): PullProcess {
  const args = ['--root', root, '--storage-driver', driver, 'pull', '--quiet', reference];
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  return { child, exit: ended(child) };
}

async function ended(child: ChildProcess): Promise<Exit> {
  let output = '';
  const collect = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout!.on('data', collect);
  child.stderr!.on('data', collect);
  await once(child, 'close');
  return { code: child.exitCode, signal: child.signalCode, output };
}
