import { after, before, describe, test } from 'node:test';
import { environmentOf } from './environment.ts';
import { onStage, type Stage } from './stage.ts';
import type { DriverSuite, Environment } from './suite.ts';

/** States what a driver must do. */
export interface Checks {
  /** With a driver on an empty directory. */
  readonly check: (title: string, body: (stage: Stage) => Promise<void>) => void;
  /** The same for what is seen in mounts; left out where there are none. */
  readonly see: Checks['check'];
}

export interface ChecksOptions {
  /** An environment that is filled in a moment. */
  readonly small?: boolean;
  /** Reason not to run them here, if the suite has none. */
  readonly skip?: string | false;
}

/** Checks of one environment, in a `describe` of their own. */
export function checksOf(
  suite: DriverSuite,
  title: string,
  state: (checks: Checks) => void,
  { small = false, skip: ours = false }: ChecksOptions = {},
): void {
  const skip = suite.skip || ours;
  describe(title, () => {
    const environment = environmentDuring(suite, skip, small);
    const check: Checks['check'] = (name, body) => {
      test(name, { skip }, () => onStage(suite, environment(), body));
    };
    state({ check, see: suite.limits?.mountless === undefined ? check : () => {} });
  });
}

/** One environment for all tests of the present `describe`. @returns how tests get at it */
export function environmentDuring(
  suite: DriverSuite,
  skip: string | false = suite.skip ?? false,
  small = false,
): () => Environment {
  let environment: Environment | undefined;
  before(async () => {
    if (skip === false) environment = await environmentOf(suite, { small });
  });
  after(() => environment?.[Symbol.asyncDispose]());
  return () => environment!;
}
