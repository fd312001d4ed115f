import { type EngineOptions, resolveConfig } from '../engine/config.ts';
import { Context } from '../engine/context.ts';
import { ALWAYS, collectBuilds } from '../engine/space/gc.ts';
import { build } from './build.ts';
import type { Builder } from './builder.ts';

/** Opens a builder on a store, which is made at the first build where there is none. */
export async function openBuilder(options: EngineOptions = {}): Promise<Builder> {
  const context = new Context(await resolveConfig(options));
  return {
    build: (rest) => build(context, rest),
    prune: ({ all = false, usedBefore, ...rest } = {}) =>
      collectBuilds(context, all ? ALWAYS : usedBefore, rest),
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  };
}
