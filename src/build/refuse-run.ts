import type { Store } from '../engine/context.ts';
import { refused } from './dockerfile/failure.ts';
import type { Dockerfile } from './dockerfile/instruction.ts';
import type { Plan } from './plan.ts';

/**
 * Says before anything is done that a RUN cannot be carried out in this store.
 * @returns whether there is a RUN
 */
export function refuseRun(dockerfile: Dockerfile, plan: Plan, { choice }: Store): boolean {
  const first = [...plan.needed]
    .flatMap((index) => plan.stages[index]!.stage.instructions)
    .find(({ kind }) => kind === 'run');
  if (first === undefined || choice.driver.mounts !== undefined) return first !== undefined;
  throw refused(
    { file: dockerfile.file, line: first.line },
    `RUN needs a storage driver that can mount, and ${choice.driver.name} cannot; use a store of driver overlay2, as root or as a user with subordinate ids`,
  );
}
