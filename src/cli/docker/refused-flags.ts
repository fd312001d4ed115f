/** An option that docker has and that could do nothing here. */
export interface RefusedFlag {
  readonly flags: string;
  /** And what to do instead. */
  readonly why: string;
  /** With this value it asks for what is so anyway. */
  readonly harmless?: RegExp;
}

const flag = (flags: string, why: string, harmless?: RegExp): RefusedFlag => ({
  flags,
  why,
  ...(harmless && { harmless }),
});

const NO_NETWORK =
  'containers have no network of their own but lo; use --network host, where names and addresses are those of the machine';
const NO_HEALTH =
  'nothing of Mica runs that could check it; have the service manager of the machine do it, with mica exec';
const WINDOWS = 'it is of Windows, and containers here are of Linux; leave it out';
const NO_TRUST =
  'signatures of Docker Content Trust are not checked; what has to be exactly this image is named by its digest, NAME@sha256:…';
const NO_LIMITS =
  'steps of a build have no limits of their own; limit the build, as with systemd-run --scope -p MemoryMax=…';

const ONE_PLATFORM =
  'a name stands for the image of one platform here, the one that was pulled; leave it out';
/** What has no effect because it is so anyway. */
const NOTHING = 'it is so anyway';
const ANY = /^/;

const trust = flag('--disable-content-trust', NO_TRUST, /^true$/);

const CONTAINER: readonly RefusedFlag[] = [
  ...[
    '--link <list>',
    '--link-local-ip <list>',
    '--ip <address>',
    '--ip6 <address>',
    '--mac-address <address>',
    '--network-alias <name>',
    '--net-alias <name>',
  ].map((flags) => flag(flags, NO_NETWORK)),
  ...[
    '--health-cmd <command>',
    '--health-interval <duration>',
    '--health-retries <number>',
    '--health-start-interval <duration>',
    '--health-start-period <duration>',
    '--health-timeout <duration>',
  ].map((flags) => flag(flags, NO_HEALTH)),
  ...[
    '--cpu-count <number>',
    '--cpu-percent <number>',
    '--io-maxbandwidth <bytes>',
    '--io-maxiops <number>',
  ].map((flags) => flag(flags, WINDOWS, /^0$/)),
  flag('--isolation <technology>', WINDOWS, /^(?:default)?$/),
  flag(
    '--cgroup-parent <path>',
    'control groups of containers are below /mica, where Mica finds them again; set limits on the container (--memory, --cpus)',
  ),
  flag(
    '--cpu-rt-period <microseconds>',
    'real time is shared out by no kernel with control groups v2; use --ulimit rtprio=… and --cap-add SYS_NICE',
    /^0$/,
  ),
  flag(
    '--cpu-rt-runtime <microseconds>',
    'real time is shared out by no kernel with control groups v2; use --ulimit rtprio=… and --cap-add SYS_NICE',
    /^0$/,
  ),
  flag(
    '--gpus <request>',
    'drivers are not looked for; name their nodes, --device /dev/…, and mount their libraries',
  ),
  flag(
    '--kernel-memory <bytes>',
    'the kernel has no such limit any more; --memory counts its memory, too',
  ),
  flag(
    '--runtime <name>',
    'the runtime is that of the store: default-runtime in the configuration file, else crun or runc of $PATH',
  ),
  flag('--use-api-socket', 'there is no daemon, and no socket of one', /^false$/),
  flag(
    '--volume-driver <driver>',
    "named volumes are out of Mica's scope; mount a directory, -v DIRECTORY:PATH",
    /^(?:local)?$/,
  ),
  flag(
    '--volumes-from <container>',
    'volumes are not shared; mount the same directory in both, -v DIRECTORY:PATH',
  ),
  trust,
];

const QUIET_COPY = [flag('-q, --quiet', NOTHING, ANY)];

/** By verb. */
export const REFUSED_FLAGS: Readonly<Record<string, readonly RefusedFlag[]>> = {
  run: CONTAINER,
  create: CONTAINER,
  pull: [trust],
  push: [trust],
  rm: [flag('-l, --link', NO_NETWORK)],
  start: [
    flag(
      '--checkpoint <name>',
      'processes are not saved and restored; commit the files (mica commit), and start anew',
    ),
    flag(
      '--checkpoint-dir <directory>',
      'processes are not saved and restored; commit the files (mica commit), and start anew',
    ),
  ],
  images: [flag('--tree', 'mica tree draws the images, by the layers that they share')],
  logs: [flag('--details', NOTHING, ANY)],
  cp: QUIET_COPY,
  'container cp': QUIET_COPY,
  'builder prune': [
    flag('--keep-storage <bytes>', 'the cache is pruned by age, --filter until=24h'),
  ],
  df: [
    flag(
      '--format <template>',
      'a store is not divided as docker divides its own; mica df --json has every number',
    ),
  ],
  prune: [flag('--volumes', NOTHING, ANY)],
  rmi: [flag('--platform <os/arch>', ONE_PLATFORM)],
  history: [flag('--platform <os/arch>', ONE_PLATFORM)],
  build: [
    trust,
    flag(
      '--cache-from <image>',
      'steps are taken from the cache of this store only; build where it is',
    ),
    flag('--cache-to <where>', 'steps are kept in this store; they need not be written elsewhere'),
    ...['--rm', '--force-rm', '--compress', '--load'].map((flags) => flag(flags, NOTHING, ANY)),
    flag('--squash', 'build, and then mica squash'),
    flag('--cgroup-parent <path>', NO_LIMITS),
    flag('--cpu-period <microseconds>', NO_LIMITS),
    flag('--cpu-quota <microseconds>', NO_LIMITS),
    flag('-c, --cpu-shares <number>', NO_LIMITS),
    flag('--cpuset-cpus <list>', NO_LIMITS),
    flag('--cpuset-mems <list>', NO_LIMITS),
    flag('-m, --memory <bytes>', NO_LIMITS),
    flag('--memory-swap <bytes>', NO_LIMITS),
    flag(
      '--shm-size <bytes>',
      'RUN has 64 MiB of /dev/shm; RUN --mount=type=tmpfs,target=/dev/shm,size=… has more',
    ),
    flag(
      '--ulimit <name=soft:hard>',
      'RUN has the limits of Mica itself; set them before it (ulimit -n 4096)',
    ),
    flag(
      '--security-opt <option>',
      'RUN has the capabilities and the filter of a container, no less and no more',
    ),
    flag('--isolation <technology>', WINDOWS, /^(?:default)?$/),
    flag(
      '--ssh <agent>',
      'no agent is handed into a build; give a key to the step that needs it, --secret id=key,src=FILE and RUN --mount=type=secret,id=key',
    ),
    flag('--allow <what>', 'no step has more rights than a container'),
    flag('--annotation <key=value>', 'mica mutate --annotation sets them on what was built'),
    flag('--attest <what>', 'attestations are not made'),
    flag('--provenance <what>', 'attestations are not made', /^false$/),
    flag('--sbom <what>', 'attestations are not made', /^false$/),
    flag(
      '-o, --output <where>',
      'an image goes into the store; mica save and mica cp write it, or files of it, elsewhere',
    ),
    flag('--push', 'build, and then mica push'),
    flag('--builder <name>', 'there is one builder, in this program'),
    flag(
      '--metadata-file <file>',
      'mica build --json prints what was made; --iidfile writes its ID',
    ),
    flag('--no-cache-filter <stage>', 'the cache is used, or with --no-cache not'),
    flag('--call <method>', 'a Dockerfile is not checked without building it'),
    flag('--check', 'a Dockerfile is not checked without building it'),
  ],
};
