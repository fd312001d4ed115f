import type { Store } from '../engine/context.ts';
import { refused } from './dockerfile/failure.ts';
import type { Dockerfile } from './dockerfile/instruction.ts';
import type { Plan } from './plan.ts';

/** Says before anything is done that a RUN cannot be carried out in this store. */
export function refuseRun(dockerfile: Dockerfile, plan: Plan, { choice }: Store): void {
  if (choice.driver.mounts !== undefined) return;
  for (const index of plan.needed)
    for (const { kind, line } of plan.stages[index]!.stage.instructions)
      if (kind === 'run')
        throw refused(
          { file: dockerfile.file, line },
          `RUN needs a storage driver that can mount, and ${choice.driver.name} cannot; use a store of driver overlay2, as root or as a user with subordinate ids`,
        );
}
