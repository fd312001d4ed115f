import { type EngineOptions, resolveConfig } from '../engine/config.ts';
import { Context } from '../engine/context.ts';
import { type GcResult, ALWAYS, collectBuilds } from '../engine/space/gc.ts';
import { build } from './build.ts';
import type { Builder, PruneBuildsOptions } from './builder.ts';
import { removeCaches } from './run/caches.ts';

/** Opens a builder on a store, which is made at the first build where there is none. */
export async function openBuilder(options: EngineOptions = {}): Promise<Builder> {
  const context = new Context(await resolveConfig(options));
  return {
    build: (rest) => build(context, rest),
    prune: (rest) => prune(context, rest),
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  };
}

async function prune(
  context: Context,
  { all = false, usedBefore, ...rest }: PruneBuildsOptions = {},
): Promise<GcResult> {
  if (all && rest.dryRun !== true) {
    const { db, leases } = await context.store();
    removeCaches(db, leases);
  }
  return await collectBuilds(context, all ? ALWAYS : usedBefore, rest);
}
