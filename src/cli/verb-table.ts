import type { Verb } from './verbs.ts';

const IMAGES = 'Images:';
const CONTAINERS = 'Containers:';
const LAYERS = 'Layers and files:';
const DERIVED = 'Images made of images:';
const STORE = 'Store:';
export const OTHER = 'Other:';

/** Those of one word, in the order of `mica --help`. */
export const WORDS: readonly Verb[] = [
  verb(
    'pull',
    'Download an image and unpack its layers',
    IMAGES,
    async () => (await import('./commands/registry/pull.ts')).pull,
  ),
  verb(
    'push',
    'Send an image to its registry',
    IMAGES,
    async () => (await import('./commands/registry/push.ts')).push,
  ),
  verb(
    'images',
    'List images',
    IMAGES,
    async () => (await import('./commands/image/images.ts')).images,
  ),
  verb(
    'inspect',
    'Show all details of containers or images, as docker does',
    IMAGES,
    async () => (await import('./commands/image/inspect.ts')).inspectAny,
  ),
  verb(
    'history',
    'Show the steps that made an image',
    IMAGES,
    async () => (await import('./commands/image/history.ts')).history,
  ),
  verb(
    'tag',
    'Give an image another name',
    IMAGES,
    async () => (await import('./commands/image/tag.ts')).tag,
  ),
  verb('rmi', 'Remove images', IMAGES, async () => (await import('./commands/image/rmi.ts')).rmi),
  verb(
    'save',
    'Write images into an archive',
    IMAGES,
    async () => (await import('./commands/transfer/save.ts')).save,
  ),
  verb(
    'load',
    'Load the images of an archive or image layout',
    IMAGES,
    async () => (await import('./commands/transfer/load.ts')).load,
  ),
  verb(
    'import',
    'Make an image of the tar of a file system',
    IMAGES,
    async () => (await import('./commands/transfer/import.ts')).importTar,
  ),
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

  verb(
    'create',
    'Create a container of an image',
    CONTAINERS,
    async () => (await import('./commands/container/create.ts')).create,
  ),
  verb(
    'run',
    'Create a container and run it',
    CONTAINERS,
    async () => (await import('./commands/container/run.ts')).run,
  ),
  verb(
    'start',
    'Start containers',
    CONTAINERS,
    async () => (await import('./commands/container/start.ts')).start,
  ),
  verb(
    'ps',
    'List containers',
    CONTAINERS,
    async () => (await import('./commands/container/ps.ts')).ps,
  ),
  verb(
    'logs',
    'Show what a container has said',
    CONTAINERS,
    async () => (await import('./commands/container/logs.ts')).logs,
  ),
  verb(
    'stop',
    'Stop containers',
    CONTAINERS,
    async () => (await import('./commands/container/stop.ts')).stop,
  ),
  verb(
    'restart',
    'Stop and start containers',
    CONTAINERS,
    async () => (await import('./commands/container/stop.ts')).restart,
  ),
  verb(
    'kill',
    'Send a signal to containers',
    CONTAINERS,
    async () => (await import('./commands/container/kill.ts')).kill,
  ),
  verb(
    'wait',
    'Wait for containers to end, and print their exit codes',
    CONTAINERS,
    async () => (await import('./commands/container/wait.ts')).wait,
  ),
  verb(
    'exec',
    'Run a command in a running container',
    CONTAINERS,
    async () => (await import('./commands/container/exec.ts')).exec,
  ),
  verb(
    'attach',
    'Connect to a running container',
    CONTAINERS,
    async () => (await import('./commands/container/attach.ts')).attach,
  ),
  verb(
    'top',
    'Show the processes of a container',
    CONTAINERS,
    async () => (await import('./commands/container/top.ts')).top,
  ),
  verb(
    'diff',
    'Show what a container has changed, or how two images differ',
    CONTAINERS,
    async () => (await import('./commands/image/diff.ts')).diff,
  ),
  verb(
    'commit',
    'Make an image of what a container has changed',
    CONTAINERS,
    async () => (await import('./commands/container/commit.ts')).commit,
  ),
  verb(
    'export',
    'Write the tree of a container as a tar archive',
    CONTAINERS,
    async () => (await import('./commands/container/export.ts')).exportTar,
  ),
  verb(
    'rename',
    'Give a container another name',
    CONTAINERS,
    async () => (await import('./commands/container/rename.ts')).rename,
  ),
  verb(
    'pause',
    'Freeze containers',
    CONTAINERS,
    async () => (await import('./commands/container/pause.ts')).pause,
  ),
  verb(
    'unpause',
    'Let frozen containers go on',
    CONTAINERS,
    async () => (await import('./commands/container/pause.ts')).unpause,
  ),
  verb(
    'rm',
    'Remove containers',
    CONTAINERS,
    async () => (await import('./commands/container/rm.ts')).rm,
  ),

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

  verb(
    'df',
    'Show what every byte of the store is used for',
    STORE,
    async () => (await import('./commands/store/df.ts')).df,
  ),
  verb(
    'prune',
    'Remove containers that do not run, dangling images and stale downloads',
    STORE,
    async () => (await import('./commands/store/prune.ts')).prune,
  ),
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
  verb(
    'info',
    'Show the store, its driver, and what this machine can do',
    STORE,
    async () => (await import('./commands/store/info.ts')).info,
  ),

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
];

/** Those of two words that are not one of {@link WORDS} by another name. */
export const OWN: readonly Verb[] = [
  verb(
    'builder prune',
    'Remove what builds keep to be faster',
    STORE,
    async () => (await import('./commands/build/prune.ts')).builderPrune,
  ),
  verb(
    'image inspect',
    'Show all details of images',
    IMAGES,
    async () => (await import('./commands/image/inspect.ts')).inspect,
  ),
  verb(
    'image prune',
    'Remove unused images',
    IMAGES,
    async () => (await import('./commands/store/prune.ts')).imagePrune,
  ),
  verb(
    'container inspect',
    'Show all details of containers',
    CONTAINERS,
    async () => (await import('./commands/image/inspect.ts')).inspectContainers,
  ),
  verb(
    'container diff',
    'Show what a container has changed',
    CONTAINERS,
    async () => (await import('./commands/container/diff.ts')).diff,
  ),
  verb(
    'container cp',
    'Copy files out of and into a container',
    CONTAINERS,
    async () => (await import('./commands/file/cp.ts')).cp,
  ),
  verb(
    'container prune',
    'Remove containers that do not run',
    CONTAINERS,
    async () => (await import('./commands/container/prune.ts')).prune,
  ),
];

/** What nobody types. */
export const INTERNAL: readonly Verb[] = [
  verb('__complete', '', OTHER, async () => (await import('./commands/mica/complete.ts')).complete),
  verb('__settle', '', OTHER, async () => (await import('./commands/store/blobs.ts')).settle),
];

export function verb(name: string, summary: string, group: string, load: Verb['load']): Verb {
  return { name, summary, group, load };
}
