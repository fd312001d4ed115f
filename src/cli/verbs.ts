import type { Command } from 'commander';
import type { Cli } from './cli.ts';

/** Adds arguments, options and the action of one command. */
export type Define = (command: Command, cli: Cli) => void;

export interface Verb {
  /** As it is typed: `pull`, `image inspect`. */
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  /** Not for people. */
  readonly hidden?: boolean;
  /** Loads the command's code; what is not asked for is not loaded. */
  readonly load: () => Promise<Define>;
}

/** Words that only hold other words. */
export const FAMILIES: ReadonlyMap<string, string> = new Map([
  ['image', 'Commands on images, as docker spells them'],
  ['container', 'Commands on containers, as docker spells them'],
  ['builder', 'Commands on what builds keep, as docker spells them'],
  ['system', 'Commands on the store, as docker spells them'],
]);

const IMAGES = 'Images:';
const CONTAINERS = 'Containers:';
const LAYERS = 'Layers and files:';
const DERIVED = 'Images made of images:';
const STORE = 'Store:';
const OTHER = 'Other:';

const images: Verb['load'] = async () => (await import('./commands/image/images.ts')).images;
const inspect: Verb['load'] = async () => (await import('./commands/image/inspect.ts')).inspect;
const inspectAny: Verb['load'] = async () =>
  (await import('./commands/image/inspect.ts')).inspectAny;
const inspectContainers: Verb['load'] = async () =>
  (await import('./commands/image/inspect.ts')).inspectContainers;
const history: Verb['load'] = async () => (await import('./commands/image/history.ts')).history;
const pull: Verb['load'] = async () => (await import('./commands/registry/pull.ts')).pull;
const rmi: Verb['load'] = async () => (await import('./commands/image/rmi.ts')).rmi;
const tag: Verb['load'] = async () => (await import('./commands/image/tag.ts')).tag;
const push: Verb['load'] = async () => (await import('./commands/registry/push.ts')).push;
const save: Verb['load'] = async () => (await import('./commands/transfer/save.ts')).save;
const loadImages: Verb['load'] = async () => (await import('./commands/transfer/load.ts')).load;
const importTar: Verb['load'] = async () =>
  (await import('./commands/transfer/import.ts')).importTar;
const create: Verb['load'] = async () => (await import('./commands/container/create.ts')).create;
const run: Verb['load'] = async () => (await import('./commands/container/run.ts')).run;
const start: Verb['load'] = async () => (await import('./commands/container/start.ts')).start;
const ps: Verb['load'] = async () => (await import('./commands/container/ps.ts')).ps;
const logs: Verb['load'] = async () => (await import('./commands/container/logs.ts')).logs;
const rm: Verb['load'] = async () => (await import('./commands/container/rm.ts')).rm;
const stop: Verb['load'] = async () => (await import('./commands/container/stop.ts')).stop;
const restart: Verb['load'] = async () => (await import('./commands/container/stop.ts')).restart;
const kill: Verb['load'] = async () => (await import('./commands/container/kill.ts')).kill;
const wait: Verb['load'] = async () => (await import('./commands/container/wait.ts')).wait;
const exec: Verb['load'] = async () => (await import('./commands/container/exec.ts')).exec;
const attach: Verb['load'] = async () => (await import('./commands/container/attach.ts')).attach;
const top: Verb['load'] = async () => (await import('./commands/container/top.ts')).top;
const diff: Verb['load'] = async () => (await import('./commands/container/diff.ts')).diff;
const commit: Verb['load'] = async () => (await import('./commands/container/commit.ts')).commit;
const exportTar: Verb['load'] = async () =>
  (await import('./commands/container/export.ts')).exportTar;
const rename: Verb['load'] = async () => (await import('./commands/container/rename.ts')).rename;
const pause: Verb['load'] = async () => (await import('./commands/container/pause.ts')).pause;
const unpause: Verb['load'] = async () => (await import('./commands/container/pause.ts')).unpause;
const containerPrune: Verb['load'] = async () =>
  (await import('./commands/container/prune.ts')).prune;
const df: Verb['load'] = async () => (await import('./commands/store/df.ts')).df;
const info: Verb['load'] = async () => (await import('./commands/store/info.ts')).info;
const imagePrune: Verb['load'] = async () => (await import('./commands/store/prune.ts')).imagePrune;
const prune: Verb['load'] = async () => (await import('./commands/store/prune.ts')).prune;

/** Every command there is, in the order of `mica --help`. Completion and help come from it. */
export const VERBS: readonly Verb[] = [
  verb('pull', 'Download an image and unpack its layers', IMAGES, pull),
  verb('push', 'Send an image to its registry', IMAGES, push),
  verb('images', 'List images', IMAGES, images),
  verb('inspect', 'Show all details of containers or images, as docker does', IMAGES, inspectAny),
  verb('history', 'Show the steps that made an image', IMAGES, history),
  verb('tag', 'Give an image another name', IMAGES, tag),
  verb('rmi', 'Remove images', IMAGES, rmi),
  verb('save', 'Write images into an archive', IMAGES, save),
  verb('load', 'Load the images of an archive or image layout', IMAGES, loadImages),
  verb('import', 'Make an image of the tar of a file system', IMAGES, importTar),
  verb(
    'copy',
    'Copy an image between registries, layouts, archives and the store',
    IMAGES,
    async () => (await import('./commands/transfer/copy.ts')).copy,
  ),
  verb(
    'build',
    'Build an image from a Dockerfile',
    IMAGES,
    async () => (await import('./commands/build/build.ts')).build,
  ),
  verb(
    'login',
    'Log in to a registry',
    IMAGES,
    async () => (await import('./commands/registry/login.ts')).login,
  ),
  verb(
    'logout',
    'Log out from a registry',
    IMAGES,
    async () => (await import('./commands/registry/logout.ts')).logout,
  ),

  verb('create', 'Create a container of an image', CONTAINERS, create),
  verb('run', 'Create a container and run it', CONTAINERS, run),
  verb('start', 'Start containers', CONTAINERS, start),
  verb('ps', 'List containers', CONTAINERS, ps),
  verb('logs', 'Show what a container has said', CONTAINERS, logs),
  verb('stop', 'Stop containers', CONTAINERS, stop),
  verb('restart', 'Stop and start containers', CONTAINERS, restart),
  verb('kill', 'Send a signal to containers', CONTAINERS, kill),
  verb('wait', 'Wait for containers to end, and print their exit codes', CONTAINERS, wait),
  verb('exec', 'Run a command in a running container', CONTAINERS, exec),
  verb('attach', 'Connect to a running container', CONTAINERS, attach),
  verb('top', 'Show the processes of a container', CONTAINERS, top),
  verb(
    'diff',
    'Show what a container has changed, or how two images differ',
    CONTAINERS,
    async () => (await import('./commands/image/diff.ts')).diff,
  ),
  verb('commit', 'Make an image of what a container has changed', CONTAINERS, commit),
  verb('export', 'Write the tree of a container as a tar archive', CONTAINERS, exportTar),
  verb('rename', 'Give a container another name', CONTAINERS, rename),
  verb('pause', 'Freeze containers', CONTAINERS, pause),
  verb('unpause', 'Let frozen containers go on', CONTAINERS, unpause),
  verb('rm', 'Remove containers', CONTAINERS, rm),

  verb(
    'layers',
    'Show what each layer of an image adds, hides and shares',
    LAYERS,
    async () => (await import('./commands/layer/layers.ts')).layers,
  ),
  verb(
    'tree',
    'Draw all images as a forest of shared layers',
    LAYERS,
    async () => (await import('./commands/layer/tree.ts')).tree,
  ),
  verb(
    'why',
    'Explain which layer gives a path, and what that hides',
    LAYERS,
    async () => (await import('./commands/layer/why.ts')).why,
  ),
  verb(
    'ls',
    'List files of an image',
    LAYERS,
    async () => (await import('./commands/file/ls.ts')).ls,
  ),
  verb(
    'cat',
    'Print files of an image',
    LAYERS,
    async () => (await import('./commands/file/cat.ts')).cat,
  ),
  verb(
    'cp',
    'Copy files out of an image, or out of and into a container',
    LAYERS,
    async () => (await import('./commands/file/cp.ts')).cp,
  ),
  verb(
    'mount',
    'Mount a read-only view of an image',
    LAYERS,
    async () => (await import('./commands/file/mount.ts')).mount,
  ),
  verb(
    'umount',
    'Unmount views',
    LAYERS,
    async () => (await import('./commands/file/umount.ts')).umount,
  ),

  verb(
    'append',
    'Add archives or directories to an image, a layer each',
    DERIVED,
    async () => (await import('./commands/derive/append.ts')).append,
  ),
  verb(
    'squash',
    'Make several layers of an image one',
    DERIVED,
    async () => (await import('./commands/derive/squash.ts')).squash,
  ),
  verb(
    'flatten',
    'Make an image one layer without history',
    DERIVED,
    async () => (await import('./commands/derive/flatten.ts')).flatten,
  ),
  verb(
    'rebase',
    'Put the own layers of an image on another base',
    DERIVED,
    async () => (await import('./commands/derive/rebase.ts')).rebase,
  ),
  verb(
    'mutate',
    'Change the defaults, labels and annotations of an image',
    DERIVED,
    async () => (await import('./commands/derive/mutate.ts')).mutate,
  ),
  verb(
    'convert',
    'Compress the layers of an image otherwise, or change its format',
    DERIVED,
    async () => (await import('./commands/derive/convert.ts')).convert,
  ),

  verb('df', 'Show what every byte of the store is used for', STORE, df),
  verb('prune', 'Remove dangling images and stale downloads', STORE, prune),
  verb(
    'gc',
    'Delete what no image uses',
    STORE,
    async () => (await import('./commands/store/gc.ts')).gc,
  ),
  verb(
    'check',
    'Verify the store, and repair it',
    STORE,
    async () => (await import('./commands/store/check.ts')).check,
  ),
  verb(
    'migrate',
    'Change the storage driver of the store',
    STORE,
    async () => (await import('./commands/store/migrate.ts')).migrate,
  ),
  verb(
    'blobs',
    'Keep compressed layers, or drop what can be made or fetched again',
    STORE,
    async () => (await import('./commands/store/blobs.ts')).blobs,
  ),
  verb('info', 'Show the store, its driver, and what this machine can do', STORE, info),

  verb(
    'registry',
    'Serve the images of the store to other tools',
    OTHER,
    async () => (await import('./commands/registry/registry.ts')).registry,
  ),
  verb(
    'unshare',
    'Run a command where views and owners are seen, without root',
    OTHER,
    async () => (await import('./commands/mica/unshare.ts')).unshare,
  ),
  verb(
    'version',
    'Show the version',
    OTHER,
    async () => (await import('./commands/mica/version.ts')).version,
  ),
  verb(
    'completion',
    'Print a completion script for bash, zsh or fish',
    OTHER,
    async () => (await import('./commands/mica/completion.ts')).completion,
  ),

  {
    ...verb(
      '__complete',
      '',
      OTHER,
      async () => (await import('./commands/mica/complete.ts')).complete,
    ),
    hidden: true,
  },

  {
    ...verb('__settle', '', OTHER, async () => (await import('./commands/store/blobs.ts')).settle),
    hidden: true,
  },

  verb(
    'builder prune',
    'Remove what builds keep to be faster',
    STORE,
    async () => (await import('./commands/build/prune.ts')).builderPrune,
  ),
  verb('image ls', 'List images', IMAGES, images),
  verb('image pull', 'Download an image and unpack its layers', IMAGES, pull),
  verb('image push', 'Send an image to its registry', IMAGES, push),
  verb('image save', 'Write images into an archive', IMAGES, save),
  verb('image load', 'Load the images of an archive or image layout', IMAGES, loadImages),
  verb('image import', 'Make an image of the tar of a file system', IMAGES, importTar),
  verb('image inspect', 'Show all details of images', IMAGES, inspect),
  verb('image history', 'Show the steps that made an image', IMAGES, history),
  verb('image tag', 'Give an image another name', IMAGES, tag),
  verb('image rm', 'Remove images', IMAGES, rmi),
  verb('image prune', 'Remove unused images', IMAGES, imagePrune),
  verb('container create', 'Create a container of an image', CONTAINERS, create),
  verb('container run', 'Create a container and run it', CONTAINERS, run),
  verb('container start', 'Start containers', CONTAINERS, start),
  verb('container ls', 'List containers', CONTAINERS, ps),
  verb('container logs', 'Show what a container has said', CONTAINERS, logs),
  verb('container inspect', 'Show all details of containers', CONTAINERS, inspectContainers),
  verb('container stop', 'Stop containers', CONTAINERS, stop),
  verb('container restart', 'Stop and start containers', CONTAINERS, restart),
  verb('container kill', 'Send a signal to containers', CONTAINERS, kill),
  verb(
    'container wait',
    'Wait for containers to end, and print their exit codes',
    CONTAINERS,
    wait,
  ),
  verb('container exec', 'Run a command in a running container', CONTAINERS, exec),
  verb('container attach', 'Connect to a running container', CONTAINERS, attach),
  verb('container top', 'Show the processes of a container', CONTAINERS, top),
  verb('container diff', 'Show what a container has changed', CONTAINERS, diff),
  verb('container commit', 'Make an image of what a container has changed', CONTAINERS, commit),
  verb('container export', 'Write the tree of a container as a tar archive', CONTAINERS, exportTar),
  verb('container rename', 'Give a container another name', CONTAINERS, rename),
  verb('container pause', 'Freeze containers', CONTAINERS, pause),
  verb('container unpause', 'Let frozen containers go on', CONTAINERS, unpause),
  verb(
    'container cp',
    'Copy files out of and into a container',
    CONTAINERS,
    async () => (await import('./commands/file/cp.ts')).cp,
  ),
  verb('container prune', 'Remove containers that do not run', CONTAINERS, containerPrune),
  verb('container rm', 'Remove containers', CONTAINERS, rm),
  verb('system df', 'Show what every byte of the store is used for', STORE, df),
  verb('system prune', 'Remove dangling images and stale downloads', STORE, prune),
  verb('system info', 'Show the store, its driver, and what this machine can do', STORE, info),
];

function verb(name: string, summary: string, group: string, load: Verb['load']): Verb {
  return { name, summary, group, load };
}
