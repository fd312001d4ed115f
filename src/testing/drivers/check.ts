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
  let environment: Environment;
  const check: Checks['check'] = (name, body) => {
    test(name, { skip }, () => onStage(suite, environment, body));
  };
  describe(title, () => {
    before(async () => {
      if (skip === false) environment = await environmentOf(suite, { small });
    });
    after(() => environment?.[Symbol.asyncDispose]());
    state({ check, see: suite.limits?.mountless === undefined ? check : () => {} });
  });
}
