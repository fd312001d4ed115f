const NO_VOLUMES =
  "named volumes are out of Mica's scope; mount a directory of this machine, mica run -v DIRECTORY:PATH";
const NO_NETWORKS = 'containers have lo alone, or with --network host the networks of the machine';
const NO_SWARM = 'Mica is of one machine';
const NO_EVENTS =
  'nothing of Mica runs that could tell; mica ps and mica images show what there is';
const NO_SESSION = 'there is no daemon to choose: --root and MICA_ROOT choose a store';

/** Verbs of docker that could do nothing here, and why. */
export const REFUSED_VERBS: Readonly<Record<string, string>> = {
  volume: NO_VOLUMES,
  network: NO_NETWORKS,
  port: 'no ports are published: with --network host they are those of the machine',
  'container port': 'no ports are published: with --network host they are those of the machine',
  stats: 'what runs is in the control groups /sys/fs/cgroup/…/mica/ID, and in mica top CONTAINER',
  'container stats':
    'what runs is in the control groups /sys/fs/cgroup/…/mica/ID, and in mica top CONTAINER',
  update: 'limits are given when a container is created; commit it, and create it anew with others',
  'container update':
    'limits are given when a container is created; commit it, and create it anew with others',
  events: NO_EVENTS,
  'system events': NO_EVENTS,
  search:
    'the protocol of registries has no search; look at the pages of the registry, as https://hub.docker.com/search',
  context: NO_SESSION,
  plugin: 'nothing is loaded into Mica',
  trust:
    'signatures of Docker Content Trust are neither made nor checked; name an image by its digest',
  manifest:
    'lists of images are read, and not made; mica copy --all copies one as it is, and mica inspect shows an image',
  checkpoint:
    'processes are not saved and restored; commit the files (mica commit), and start anew',
  buildx: 'there is one builder: mica build, mica builder prune',
  compose: 'containers are started one by one: mica run',
  ...Object.fromEntries(
    ['swarm', 'node', 'service', 'stack', 'config', 'secret'].map((verb) => [verb, NO_SWARM]),
  ),
};
