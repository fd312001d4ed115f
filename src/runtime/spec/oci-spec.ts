/**
 * The part of a runtime bundle's `config.json` that Mica writes, spelled as the standard has it.
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config.md
 */
export interface Spec {
  readonly ociVersion: string;
  readonly process: Process;
  readonly root: { readonly path: string; readonly readonly: boolean };
  /** Absent with the machine's. */
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly mounts: readonly SpecMount[];
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux: Linux;
}

export interface Process {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
  readonly user: {
    readonly uid: number;
    readonly gid: number;
    readonly additionalGids: readonly number[];
  };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Capabilities;
  readonly rlimits: readonly Rlimit[];
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number | undefined;
}

export interface Capabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
}

export interface Rlimit {
  /** `RLIMIT_NOFILE`, … */
  readonly type: string;
  readonly soft: bigint;
  readonly hard: bigint;
}

export interface SpecMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface Linux {
  readonly namespaces: readonly { readonly type: string }[];
  /** Absent where the runtime may not make control groups. */
  readonly cgroupsPath?: string | undefined;
  readonly resources?: Resources | undefined;
  readonly devices: readonly Device[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly sysctl: Readonly<Record<string, string>>;
  readonly seccomp?: Seccomp | undefined;
}

export interface Device {
  readonly type: 'c' | 'b';
  readonly path: string;
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type?: 'a' | 'b' | 'c';
  readonly major?: number;
  readonly minor?: number;
  /** Of `r`, `w` and `m`. */
  readonly access: string;
}

export interface Resources {
  readonly devices: readonly DeviceRule[];
  readonly memory?: {
    readonly limit?: number;
    readonly reservation?: number;
    readonly swap?: number;
    readonly swappiness?: number;
    readonly disableOOMKiller?: boolean;
  };
  readonly cpu?: {
    readonly shares?: number;
    readonly quota?: number;
    readonly period?: number;
    readonly cpus?: string;
    readonly mems?: string;
  };
  readonly pids?: { readonly limit: number };
  readonly blockIO?: BlockIo;
}

export interface BlockIo {
  readonly weight?: number;
  readonly weightDevice?: readonly (DiskNumber & { readonly weight: number })[];
  readonly throttleReadBpsDevice?: readonly DiskRate[];
  readonly throttleWriteBpsDevice?: readonly DiskRate[];
  readonly throttleReadIOPSDevice?: readonly DiskRate[];
  readonly throttleWriteIOPSDevice?: readonly DiskRate[];
}

export interface DiskNumber {
  readonly major: number;
  readonly minor: number;
}

export interface DiskRate extends DiskNumber {
  readonly rate: number;
}

export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly flags?: readonly string[];
  readonly architectures: readonly string[];
  readonly syscalls: readonly {
    readonly names: readonly string[];
    readonly action: string;
    readonly errnoRet?: number;
    readonly args?: readonly SeccompArgument[];
  }[];
}

export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: string;
}
