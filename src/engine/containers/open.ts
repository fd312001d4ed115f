import type { Context } from '../context.ts';
import type { Containers } from './containers.ts';

/** @see Containers */
export const openContainers = (context: Context): Containers => ({
  create: async (image, request) => (await import('./create.ts')).create(context, image, request),
  start: async (name, options) => (await import('./start.ts')).start(context, name, options),
  list: async () => (await import('./find.ts')).list(context),
  get: async (name) => (await import('./find.ts')).get(context, name),
  imageOf: async (container) => (await import('./find.ts')).imageOf(context, container),
  remove: async (name, options) => (await import('./remove.ts')).remove(context, name, options),
  prune: async (options) => (await import('./remove.ts')).prune(context, options),
  rename: async (name, to) => (await import('./remove.ts')).rename(context, name, to),
  stop: async (name, options) => (await import('./signal.ts')).stop(context, name, options),
  kill: async (name, signal) => (await import('./signal.ts')).kill(context, name, signal),
  pause: async (name) => (await import('./signal.ts')).pause(context, name),
  unpause: async (name) => (await import('./signal.ts')).unpause(context, name),
  wait: async (name, options) => (await import('./signal.ts')).wait(context, name, options),
  attach: async (name) => (await import('./talk.ts')).attach(context, name),
  exec: async (name, options) => (await import('./talk.ts')).exec(context, name, options),
  async *logs(name, query) {
    yield* (await import('./talk.ts')).logs(context, name, query);
  },
  processes: async (name) => (await import('./talk.ts')).processes(context, name),
  changes: async (name) => (await import('./tree.ts')).changes(context, name),
  usage: async (name) => (await import('./tree.ts')).usage(context, name),
  graphDriver: async (name) => (await import('./tree.ts')).graphDriver(context, name),
  commit: async (name, options) => (await import('./commit.ts')).commit(context, name, options),
  async *export(name, options) {
    yield* (await import('./tree.ts')).exportTree(context, name, options);
  },
  copyFrom: async (name, path, options, task) =>
    (await import('./copy.ts')).copyFrom(context, name, path, options, task),
  copyTo: async (name, path, source, options) =>
    (await import('./copy.ts')).copyTo(context, name, path, source, options),
  extractTo: async (name, path, archive, options) =>
    (await import('./copy.ts')).extractTo(context, name, path, archive, options),
  withTree: async (name, task) => (await import('./tree.ts')).withTree(context, name, task),
});
