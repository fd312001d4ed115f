import type { Digest } from '../../oci/digest.ts';
import type { Driver, Pack } from '../../snapshot/driver.ts';

/** A storage driver as the suites get hold of it: the one thing that who writes a driver tells them. */
export interface DriverSuite {
  /** As tests name it: the driver, and how it is told to work where there are several ways. */
  readonly name: string;
  /**
   * URL of the module that exports this very object in an array `drivers`: processes that are to be
   * killed find it there by its name. `import.meta.url` of where it is written down.
   */
  readonly module: string;
  /** Reason to skip on this machine. */
  readonly skip?: string | false;
  /** The driver of an empty directory. */
  readonly open: (layers: string, parts: SuiteParts) => Driver | Promise<Driver>;
  /**
   * Where the driver works. Absent: in any directory; small ones are then ext4 on a loop device.
   * Asked once for many tests, each of which makes directories of its own in there.
   */
  readonly environment?: (wanted: WantedEnvironment) => Promise<Environment>;
  readonly limits?: DriverLimits;
  /**
   * Where it keeps layers of another system only: the layer with the same files there. Absent: the
   * archive is one.
   */
  readonly layerOf?: (tar: Uint8Array) => Promise<Uint8Array>;
}

/** What an engine gives to its driver. */
export interface SuiteParts {
  /** How a driver that keeps tars makes one of what was written. */
  readonly pack: Pack;
  /** What was recorded of a layer's index. */
  readonly digestOf: (id: string) => Digest | undefined;
  /** What the environment said of these layers. */
  readonly options: readonly string[];
}

export interface WantedEnvironment {
  /** So small that a test can fill it in a moment: some 64 MiB. */
  readonly small: boolean;
  /** For benchmarks. */
  readonly large?: LargeEnvironment;
}

export interface LargeEnvironment {
  readonly mib: number;
  /** Where the files lie that it is made of; they are kept out of the page cache. */
  readonly directory: string;
}

/** Taking it down takes away all that was made in it, mounted or not. */
export interface Environment extends AsyncDisposable {
  /** An existing directory. */
  readonly path: string;
  /**
   * What the driver of this directory is told, as `storage-opts`; a place where two stores would
   * meet (a pool) makes one for each. Asked once for a directory. Absent: nothing.
   */
  readonly options?: (layers: string) => readonly string[] | Promise<readonly string[]>;
  /**
   * What the driver of this directory keeps elsewhere: ids that have something in a pool. The suites
   * see that nothing is left in it. Absent: it keeps everything in the directory.
   */
  readonly held?: (layers: string) => readonly string[] | Promise<readonly string[]>;
  /** What the driver of this directory has to write on. Absent: what statfs(2) tells of `path`. */
  readonly space?: (layers: string) => Space | Promise<Space>;
}

/** In bytes. */
export interface Space {
  readonly used: number;
  readonly free: number;
}

/** What a driver cannot do. The suites see that it says so, in place of seeing that it does it. */
export interface DriverLimits {
  /** Why nothing can be mounted: it has no `mounts`, and is only read through the union in user space. */
  readonly mountless?: string;
  /** Why the holes of files in layers become zeros. */
  readonly holes?: string;
  /** More layers than this are refused with NOT_IMPLEMENTED, when they are to be mounted; `Driver.depth` says so. */
  readonly depth?: { readonly layers: number; readonly reason: string };
  /** Deeper stacks work, but take longer than a test may: so many layers are tried, at least 128. */
  readonly tried?: { readonly layers: number; readonly reason: string };
  /** The largest number of an owner or group that files can have. */
  readonly owners?: { readonly most: number; readonly reason: string };
  /** The last moment that files can have, in seconds since 1970. */
  readonly times?: { readonly last: number; readonly reason: string };
  /**
   * Why files that are changed do not keep all that they have, and what is written is not always what
   * a plain directory has then: somebody else's program, of which nothing of the kind is asked.
   */
  readonly inexact?: string;
  /** Why no process is killed while it works: somebody else's program does not survive that. */
  readonly kills?: string;
  /** What a snapshot takes besides what it says that it holds, in bytes. */
  readonly overhead?: { readonly bytes: number; readonly reason: string };
  /** The smallest limit of a writable layer that it keeps, in bytes. */
  readonly quota?: { readonly least: number; readonly reason: string };
}
