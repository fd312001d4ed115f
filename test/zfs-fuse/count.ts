/** What became of tests, as `scripts/test.ts` tells it at its end. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  /** How many, by reason. */
  readonly skips: ReadonlyMap<string, number>;
}

export const NONE: Count = { passed: 0, failed: 0, skips: new Map() };

/** @returns `undefined` when it did not come to its end */
export function countOf(log: string): Count | undefined {
  const total = /^(\d+) passed, (\d+) failed, \d+ skipped$/m.exec(log);
  if (total === null) return undefined;
  const skips = [...log.matchAll(/^skipped (\d+): (.*)$/gm)].map(
    ([, count, reason]) => [reason!, Number(count)] as const,
  );
  return { passed: Number(total[1]), failed: Number(total[2]), skips: new Map(skips) };
}

export function add(one: Count, other: Count): Count {
  const skips = new Map(one.skips);
  for (const [reason, count] of other.skips) skips.set(reason, (skips.get(reason) ?? 0) + count);
  return { passed: one.passed + other.passed, failed: one.failed + other.failed, skips };
}

export const skipped = ({ skips }: Count): number =>
  [...skips.values()].reduce((sum, count) => sum + count, 0);
