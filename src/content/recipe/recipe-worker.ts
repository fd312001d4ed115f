import { closeSync, openSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { sendError } from '../../io/sent-error.ts';
import { writeAll } from '../../io/write-all.ts';
import { fromNode } from '../../sys/errno.ts';
import { beEndedPolitely } from '../../sys/undisturbed.ts';
import { findRecipe } from './find-recipe.ts';
import { followRecipe } from './follow-recipe.ts';
import type { RecipeAnswer, RecipeJob } from './recipe-thread.ts';

/** The entry of a thread that looks for recipes, and follows them. */

beEndedPolitely(workerData as Int32Array);
const port = parentPort!;

port.on('message', (job: RecipeJob) => {
  void run(job).then(
    (answer) => port.postMessage(answer),
    (error: unknown) => port.postMessage({ error: sendError(error) } satisfies RecipeAnswer),
  );
});

async function run(job: RecipeJob): Promise<RecipeAnswer> {
  if (job.kind === 'find') {
    stepBack();
    return { found: await findRecipe(job) };
  }
  const fd = open(job.into);
  try {
    await followRecipe(job, (bytes) => writeAll(fd, bytes, job.into));
  } finally {
    closeSync(fd);
  }
  return {};
}

/** A proof is not urgent: this thread alone steps back, as a process would with `nice` (on Linux). */
function stepBack(): void {
  try {
    if (process.platform === 'linux') setPriority(0, Math.max(getPriority(0), 10));
  } catch {
    // It is only a courtesy.
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'w', 0o644);
  } catch (error) {
    throw fromNode(error);
  }
}
