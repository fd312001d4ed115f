/** A version of Windows, as `os.version` has it: `10.0.20348.2527`. */
interface Build {
  /** `10.0` */
  readonly release: string;
  readonly build: number;
  readonly revision: number;
}

/** Builds of long service: what runs on one runs on all up to the next. */
const LONG_SERVICE = [20348, 26100] as const;

/**
 * How well an image for `offered` runs on Windows `wanted` without a machine of its own; less is
 * better, -1 is not at all. Before Server 2022 the builds must be the same. Since then a kernel runs
 * images of every build from the last release of long service before it up to its own: the newest
 * is the best. Revisions make no difference but among equals, where the newest is the best, too.
 *
 * Where either names no version all is well, and equally so.
 * @see https://learn.microsoft.com/en-us/virtualization/windowscontainers/deploy-containers/version-compatibility
 */
export function rankBuild(wanted: string | undefined, offered: string | undefined): number {
  if (wanted === undefined || offered === undefined) return 0;
  const [host, image] = [parse(wanted), parse(offered)];
  if (host === undefined || image === undefined) return wanted === offered ? 0 : -1;
  if (host.release !== image.release) return -1;
  const oldest = oldestFor(host.build);
  if (image.build < oldest || image.build > host.build) return -1;
  return host.build - image.build + 1 - Math.min(image.revision, MAX_REVISION) / MAX_REVISION;
}

const MAX_REVISION = 2 ** 24;

function oldestFor(build: number): number {
  if (build < LONG_SERVICE[0]) return build;
  return LONG_SERVICE.findLast((service) => service < build) ?? build;
}

function parse(text: string): Build | undefined {
  const [, release, build, revision = '0'] = /^(\d+\.\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return release === undefined
    ? undefined
    : { release, build: Number(build), revision: Number(revision) };
}
