import { parseReference } from '../oci/reference.ts';
import { type EngineOptions, resolveConfig } from './config.ts';
import { openContainers } from './containers/open.ts';
import { Context } from './context.ts';
import type { Engine } from './engine.ts';
import { allImages, findByName, storedImage } from './images.ts';

/**
 * Opens the engine on a store. Nothing is touched before the first call: what only reads takes no
 * lock and makes no store.
 */
export async function openEngine(options: EngineOptions = {}): Promise<Engine> {
  const context = new Context(await resolveConfig(options));
  const { root } = context.config;
  return {
    root,
    driver: async () => (await context.store()).choice.driver.name,
    pull: async (reference, rest) =>
      (await import('./pull/pull.ts')).pull(context, reference, rest),
    plan: async (reference, rest) =>
      (await import('./pull/plan.ts')).plan(context, reference, rest),
    push: async (reference, rest) =>
      (await import('./transfer/push.ts')).push(context, reference, rest),
    save: async (names, to, rest) =>
      (await import('./transfer/save.ts')).save(context, names, to, rest),
    load: async (from, rest) => (await import('./transfer/load.ts')).load(context, from, rest),
    import: async (from, reference, rest) =>
      (await import('./transfer/import.ts')).importTar(context, from, reference, rest),
    copy: async (from, to, rest) =>
      (await import('./transfer/copy-image.ts')).copyImage(context, from, to, rest),
    async *listRemoteTags(reference, rest) {
      const registry = await context.registry();
      yield* registry.repository(parseReference(reference)).listTags(rest);
    },
    images: async () => allImages(await context.reading()),
    image: async (name) => {
      const db = await context.reading();
      return storedImage(db, findByName(db, name));
    },
    tag: async (name, target) => (await import('./names.ts')).tag(context, name, target),
    remove: async (name, rest) => (await import('./names.ts')).remove(context, name, rest),
    append: async (name, sources, rest) =>
      (await import('./derive/append.ts')).append(context, name, sources, rest),
    mutate: async (name, rest) => (await import('./derive/mutate.ts')).mutate(context, name, rest),
    convert: async (name, rest) =>
      (await import('./derive/convert.ts')).convert(context, name, rest),
    rebase: async (name, rest) => (await import('./derive/rebase.ts')).rebase(context, name, rest),
    squash: async (name, rest) => (await import('./derive/squash.ts')).squash(context, name, rest),
    flatten: async (name, rest) =>
      (await import('./derive/squash.ts')).flatten(context, name, rest),
    tree: async (name, rest) => (await import('./tree.ts')).openTree(context, name, rest),
    graphDriver: async (name) => {
      const { graphDriver } = await import('./graph-driver.ts');
      return graphDriver(context, name);
    },
    mount: async (name, rest) => (await import('./mounts.ts')).mount(context, name, rest),
    unmount: async (target, rest) => (await import('./mounts.ts')).unmount(context, target, rest),
    mounted: async () => (await import('./mounts.ts')).mounted(context),
    containers: openContainers(context),
    usage: async () => (await import('./space/usage.ts')).usage(context),
    layerBlobs: async () => (await import('./blobs/report.ts')).reportLayerBlobs(context),
    setLayerBlobs: async (policy) => (await import('./blobs/policy.ts')).setPolicy(context, policy),
    settleBlobs: async (rest) => (await import('./blobs/settle.ts')).settleBlobs(context, rest),
    restoreBlob: async (target, rest) =>
      (await import('./blobs/restore.ts')).restoreBlob(context, target, rest),
    gc: async (rest) => (await import('./space/gc.ts')).gc(context, rest),
    prune: async (rest) => (await import('./space/gc.ts')).prune(context, rest),
    check: async (rest) => (await import('./check/check.ts')).check(context, rest),
    info: async () => (await import('./info.ts')).info(context),
    migrate: async (rest) => (await import('./migrate/migrate.ts')).migrate(context, rest),
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  };
}
