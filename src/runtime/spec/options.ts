import type { SeccompDocument } from './seccomp/document.ts';

/**
 * How a container shall run, beside what its image says. Every field is optional; where Docker has
 * a flag for it, the meaning is that flag's.
 */
export interface ContainerOptions {
  /** Replaces the image's; `[]` or `['']` removes it. Then the image's command does not count either. */
  readonly entrypoint?: readonly string[] | undefined;
  /** Replaces the image's command. */
  readonly command?: readonly string[] | undefined;
  /** `NAME=value` sets, `NAME` alone removes what the image sets. */
  readonly env?: readonly string[] | undefined;
  /** Absolute. */
  readonly workdir?: string | undefined;
  /** `name`, `uid`, `name:group`, `uid:gid`, … */
  readonly user?: string | undefined;
  /** Further groups, by name or number. */
  readonly groups?: readonly string[] | undefined;
  readonly tty?: boolean | undefined;
  /** Begins with a small program of this machine that hands on signals and buries processes. */
  readonly init?: boolean | undefined;
  readonly consoleSize?: { readonly rows: number; readonly columns: number } | undefined;
  /** Default: the first 12 characters of the ID; the machine's own with the host's network. */
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  /** `none` (the default): a network of its own with nothing but `lo`. */
  readonly network?: 'none' | 'host' | undefined;
  /** Shared memory and message queues; `none`: without `/dev/shm`. Default: its own. */
  readonly ipc?: 'private' | 'none' | 'host' | undefined;
  /** `host`: with the machine's host name. */
  readonly uts?: 'private' | 'host' | undefined;
  /** Default: its own with control groups v2. */
  readonly cgroupns?: 'private' | 'host' | undefined;
  /** `name:address`, for `/etc/hosts`. */
  readonly hosts?: readonly string[] | undefined;
  /** Name servers in place of the machine's. */
  readonly dns?: readonly string[] | undefined;
  /** Domains in place of the machine's; `.`: none. */
  readonly dnsSearch?: readonly string[] | undefined;
  /** Of resolv.conf(5), in place of the machine's. */
  readonly dnsOptions?: readonly string[] | undefined;
  /** With or without `CAP_`; `ALL`. */
  readonly capAdd?: readonly string[] | undefined;
  readonly capDrop?: readonly string[] | undefined;
  /** All capabilities and devices, nothing masked, no filter. */
  readonly privileged?: boolean | undefined;
  readonly noNewPrivileges?: boolean | undefined;
  readonly seccomp?: 'default' | 'unconfined' | SeccompDocument | undefined;
  /** No path of `/proc` and `/sys` is masked or read-only. */
  readonly unhidden?: boolean | undefined;
  /** The root file system cannot be written. */
  readonly readonly?: boolean | undefined;
  readonly binds?: readonly Bind[] | undefined;
  readonly tmpfs?: readonly Tmpfs[] | undefined;
  /** Of `/dev/shm`, in bytes. Default: 64 MiB. */
  readonly shmSize?: number | undefined;
  readonly devices?: readonly DeviceOption[] | undefined;
  readonly deviceRules?: readonly DeviceRuleOption[] | undefined;
  readonly resources?: ResourceOptions | undefined;
  readonly ulimits?: readonly Ulimit[] | undefined;
  readonly sysctls?: Readonly<Record<string, string>> | undefined;
  /** Orders of the user to the runtime. Those of an image are not among them. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface Bind {
  /** Absolute, on this machine; it must exist. */
  readonly source: string;
  /** Not even a directory is made where there is no source. */
  readonly mustExist?: boolean | undefined;
  /** Absolute, in the container; it is created where it is missing. */
  readonly target: string;
  readonly readonly?: boolean | undefined;
  readonly propagation?:
    | 'private'
    | 'rprivate'
    | 'shared'
    | 'rshared'
    | 'slave'
    | 'rslave'
    | undefined;
  /** Without what is mounted below the source. */
  readonly flat?: boolean | undefined;
}

export interface Tmpfs {
  readonly target: string;
  /** In the words of mount(8): `size=64m`, `mode=1777`, `exec`, … */
  readonly options?: readonly string[] | undefined;
}

export interface DeviceOption {
  /** Absolute, on this machine: a device, or a directory with some. */
  readonly source: string;
  /** Absolute, in the container. */
  readonly target: string;
  /** Of `r`, `w` and `m`. */
  readonly access: string;
}

/** What may be done to devices, whether their nodes are there or not. */
export interface DeviceRuleOption {
  /** `a`: all. */
  readonly type: 'a' | 'b' | 'c';
  /** Absent: any. */
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly access: string;
}

/** For one disk. */
export interface DeviceLimit {
  /** Of its node on this machine. */
  readonly path: string;
  readonly value: number;
}

export interface ResourceOptions {
  /** In bytes. At least 6 MiB. */
  readonly memory?: number | undefined;
  readonly memoryReservation?: number | undefined;
  /** Memory and swap together, in bytes; -1: no limit. Default: twice the memory. */
  readonly memorySwap?: number | undefined;
  readonly cpus?: number | undefined;
  readonly cpuShares?: number | undefined;
  /** In microseconds. */
  readonly cpuPeriod?: number | undefined;
  readonly cpuQuota?: number | undefined;
  /** `0-2,4`. */
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** From 0 to 100; with control groups v1 only. */
  readonly memorySwappiness?: number | undefined;
  /** With control groups v1 only. */
  readonly oomKillDisable?: boolean | undefined;
  /** From 10 to 1000; 0: none. */
  readonly blkioWeight?: number | undefined;
  readonly blkioWeightDevice?: readonly DeviceLimit[] | undefined;
  /** In bytes for each second. */
  readonly deviceReadBps?: readonly DeviceLimit[] | undefined;
  readonly deviceWriteBps?: readonly DeviceLimit[] | undefined;
  /** In operations for each second. */
  readonly deviceReadIops?: readonly DeviceLimit[] | undefined;
  readonly deviceWriteIops?: readonly DeviceLimit[] | undefined;
  /** 0 or less: no limit. */
  readonly pidsLimit?: number | undefined;
  /** From -1000 to 1000. */
  readonly oomScoreAdj?: number | undefined;
}

export interface Ulimit {
  /** `nofile`, `nproc`, … */
  readonly name: string;
  /** -1: no limit. */
  readonly soft: number;
  readonly hard: number;
}
