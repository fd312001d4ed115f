import { release } from 'node:os';
import * as v from 'valibot';
import { MicaError } from '../errors.ts';
import { objectOf, optional } from './json.ts';

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly 'os.version'?: string | undefined;
  readonly 'os.features'?: readonly string[] | undefined;
}

/** Unknown fields are kept. */
export const PlatformSchema: v.GenericSchema<unknown, Platform> = objectOf({
  os: v.string(),
  architecture: v.string(),
  variant: optional(v.string()),
  'os.version': optional(v.string()),
  'os.features': optional(v.array(v.string())),
});

/** Go's names, which images use. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mipsel: 'mipsle',
};
const SYSTEMS: ReadonlySet<string> = new Set(
  'aix android darwin dragonfly freebsd illumos linux netbsd openbsd solaris windows'.split(' '),
);

/**
 * What an image must be for this machine unless somebody asks otherwise. Always Linux: elsewhere
 * images are read, or run in a virtual machine with Linux.
 */
export function hostPlatform(): Platform {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  if (architecture !== 'arm') return { os: 'linux', architecture };
  const { arm_version } = process.config.variables as { readonly arm_version?: string };
  return { os: 'linux', architecture, variant: `v${arm_version ?? '7'}` };
}

const SPECIFIER = /^(?<os>[\w-]+)(?:\((?<version>[\w.-]+)\))?(?<rest>(?:\/[\w.-]+){0,2})$/;

/**
 * Reads `os`, `architecture`, `os/architecture[/variant]` or `windows(10.0.17763)/…`; the result is
 * normalised, and what is not given is taken from this machine.
 *
 * @throws INVALID_ARGUMENT
 */
export function parsePlatform(text: string): Platform {
  const groups = SPECIFIER.exec(text)?.groups;
  if (!groups)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text.slice(0, 100))} is not a platform; write os/architecture[/variant], e.g. linux/arm64`,
    );
  const { os = '', version, rest = '' } = groups;
  const [, architecture, variant] = rest.split('/');
  const host = hostPlatform();
  const system = os.toLowerCase() === 'macos' ? 'darwin' : os.toLowerCase();
  if (architecture === undefined && !SYSTEMS.has(system))
    return normalisePlatform({ os: host.os, architecture: os });
  return normalisePlatform({
    os,
    ...(architecture === undefined
      ? { architecture: host.architecture, variant: host.variant }
      : { architecture, variant }),
    'os.version': version ?? (system === 'windows' ? hostBuild() : undefined),
  });
}

/** Which Windows this is; elsewhere any will do. */
const hostBuild = (): string | undefined => (process.platform === 'win32' ? release() : undefined);

/** `os[(version)]/architecture[/variant]`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant, 'os.version': version } = platform;
  return [os + (version ? `(${version})` : ''), architecture, variant].filter(Boolean).join('/');
}

/**
 * One spelling for what means the same, as containerd has it: `x86_64` is `amd64`, `arm64/v8` is
 * `arm64`, `armhf` is `arm/v7`.
 */
export function normalisePlatform(platform: Platform): Platform {
  const { os, 'os.version': version, 'os.features': features } = platform;
  const system = os.toLowerCase();
  const [architecture, variant] = normaliseArchitecture(
    platform.architecture.toLowerCase(),
    platform.variant?.toLowerCase() ?? '',
  );
  return {
    os: system === 'macos' ? 'darwin' : system,
    architecture,
    ...(variant && { variant }),
    ...(version && { 'os.version': version }),
    ...(features && features.length > 0 && { 'os.features': features }),
  };
}

function normaliseArchitecture(architecture: string, variant: string): [string, string] {
  switch (architecture) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      return ['arm64', /^v?8(?:\.0)?$/.test(variant) ? '' : variant];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      return ['arm', variant === '' ? 'v7' : variant.replace(/^\d/, 'v$&')];
    default:
      return [architecture, variant];
  }
}
