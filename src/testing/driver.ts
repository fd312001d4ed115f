import { describe } from 'node:test';
import { inUserNamespace } from '../sys/userns.ts';
import { checkBasics } from './drivers/basics.ts';
import { checksOf } from './drivers/check.ts';
import { checkFiles } from './drivers/files.ts';
import { checkRandom } from './drivers/random.ts';
import { checkSpace } from './drivers/space.ts';
import { checkStacks } from './drivers/stacks.ts';
import type { DriverSuite } from './drivers/suite.ts';
import { needs } from './need.ts';

/** What every driver must do. The suite is the specification; the interface is its summary. */
export function testDriver(suite: DriverSuite): void {
  describe(`driver ${suite.name}`, () => {
    checksOf(suite, 'alone', (checks) => {
      checkBasics(checks, suite);
      checkStacks(checks, suite);
      if (suite.limits?.inexact !== undefined) return;
      checkFiles(checks, suite);
      checkRandom(checks);
    });
    // Nobody mounts a small file system in a user namespace.
    if (suite.environment !== undefined || !inUserNamespace())
      checksOf(suite, 'where there is little room', (checks) => checkSpace(checks, suite), {
        small: true,
        skip: suite.environment === undefined ? needs('root', 'loop') : false,
      });
  });
}
