import * as v from 'valibot';
import { check, objectOf, optional, parseObject } from '../../../oci/json.ts';
import type { Seccomp } from '../oci-spec.ts';
import { isAtLeast, type SeccompFacts } from './profile.ts';

const Words = v.array(v.string());
const Number64 = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

interface Condition {
  readonly caps?: readonly string[] | undefined;
  /** In Go's words. */
  readonly arches?: readonly string[] | undefined;
  readonly minKernel?: string | undefined;
}

interface Call {
  readonly name?: string | undefined;
  readonly names?: readonly string[] | undefined;
  readonly action: string;
  readonly errnoRet?: number | undefined;
  readonly args?: readonly Argument[] | undefined;
  readonly includes?: Condition | undefined;
  readonly excludes?: Condition | undefined;
}

interface Argument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number | undefined;
  readonly op: string;
}

/** A profile as docker, podman and containerd read it from a file. */
export interface SeccompDocument {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number | undefined;
  readonly architectures?: readonly string[] | undefined;
  readonly archMap?:
    | readonly {
        readonly architecture: string;
        readonly subArchitectures?: readonly string[] | undefined;
      }[]
    | undefined;
  readonly flags?: readonly string[] | undefined;
  readonly syscalls?: readonly Call[] | undefined;
}

const ConditionSchema = objectOf({
  caps: optional(Words),
  arches: optional(Words),
  minKernel: optional(v.pipe(v.string(), v.regex(/^\d+\.\d+/))),
});

const DocumentSchema: v.GenericSchema<unknown, SeccompDocument> = objectOf({
  defaultAction: v.string(),
  defaultErrnoRet: optional(Number64),
  architectures: optional(Words),
  archMap: optional(
    v.array(objectOf({ architecture: v.string(), subArchitectures: optional(Words) })),
  ),
  flags: optional(Words),
  syscalls: optional(
    v.array(
      objectOf({
        name: optional(v.string()),
        names: optional(Words),
        action: v.string(),
        errnoRet: optional(Number64),
        args: optional(
          v.array(
            objectOf({
              index: Number64,
              value: Number64,
              valueTwo: optional(Number64),
              op: v.string(),
            }),
          ),
        ),
        includes: optional(ConditionSchema),
        excludes: optional(ConditionSchema),
      }),
    ),
  ),
});

/** Docker's own has 20 KB. */
const LIMIT = 2 ** 20;

/**
 * @param from what errors call it
 * @throws INVALID_ARGUMENT
 */
export function parseProfile(bytes: Uint8Array, from: string): SeccompDocument {
  const kind = { what: `seccomp profile ${from}`, limit: LIMIT };
  return check(DocumentSchema, parseObject(bytes, kind), kind);
}

/** Go's names of architectures, which profiles use, and libseccomp's. */
const ARCH: Readonly<Record<string, readonly [go: string, seccomp: string]>> = {
  x64: ['amd64', 'SCMP_ARCH_X86_64'],
  arm64: ['arm64', 'SCMP_ARCH_AARCH64'],
};

/** What a profile comes to for a container with these capabilities on this machine. */
export function resolveProfile(document: SeccompDocument, facts: SeccompFacts): Seccomp {
  const [go = facts.arch, native] = ARCH[facts.arch] ?? [];
  const mapped = document.archMap?.find(({ architecture }) => architecture === native);
  const own = mapped && [mapped.architecture, ...(mapped.subArchitectures ?? [])];
  return {
    defaultAction: document.defaultAction,
    ...(document.defaultErrnoRet !== undefined && { defaultErrnoRet: document.defaultErrnoRet }),
    architectures: own ?? document.architectures ?? [],
    ...(document.flags?.length && { flags: document.flags }),
    syscalls: (document.syscalls ?? [])
      .filter(({ includes, excludes }) => holds(includes, excludes, { ...facts, arch: go }))
      .map(entryOf),
  };
}

function entryOf({ name, names, action, errnoRet, args }: Call): Seccomp['syscalls'][number] {
  return {
    names: names?.length ? names : name !== undefined ? [name] : [],
    action,
    ...(errnoRet !== undefined && { errnoRet }),
    ...(args?.length && {
      args: args.map(({ valueTwo, ...rest }) => ({
        ...rest,
        ...(valueTwo !== undefined && { valueTwo }),
      })),
    }),
  };
}

/** Everything that is included must be so, nothing that is excluded. */
function holds(
  includes: Condition | undefined,
  excludes: Condition | undefined,
  { arch, kernel, capabilities }: SeccompFacts,
): boolean {
  const { arches, caps, minKernel } = includes ?? {};
  if (arches?.length && !arches.includes(arch)) return false;
  if (caps?.some((cap) => !capabilities.includes(cap))) return false;
  if (minKernel !== undefined && !isAtLeast(kernel, versionOf(minKernel))) return false;
  if (excludes?.arches?.includes(arch)) return false;
  if (excludes?.caps?.some((cap) => capabilities.includes(cap))) return false;
  return excludes?.minKernel === undefined || !isAtLeast(kernel, versionOf(excludes.minKernel));
}

function versionOf(text: string): readonly [number, number] {
  const [major = 0, minor = 0] = text.split('.').map(Number);
  return [major, minor];
}
