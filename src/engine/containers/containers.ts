import type { ExtractOptions } from '../../container/copy/extract.ts';
import type { CopySource, CopySourceOptions } from '../../container/copy/source.ts';
import type { ContainerSettings, Container } from '../../container/container.ts';
import type { RemoveContainerOptions } from '../../container/remove.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { ListedChange } from '../../layer/diff/change.ts';
import type { Attachment, Exit } from '../../runtime/attachment.ts';
import type { LogEntry, LogQuery } from '../../runtime/log/read-log.ts';
import type { MonitorProcess, Started } from '../../runtime/monitor-process.ts';
import type { ContainerProcess } from '../../runtime/processes.ts';
import type { ExecOptions } from '../../runtime/spec/process.ts';
import type { ContainerState } from '../../runtime/state.ts';
import type { Usage } from '../../snapshot/driver.ts';
import type { DeriveOptions } from '../derive/derive.ts';
import type { GraphDriver } from '../graph-driver.ts';
import type { StoredImage } from '../stored-image.ts';

/** Containers of a store: docker's words. `name` is a name, an ID, or the unambiguous beginning of one. */
export interface Containers {
  /** Gives an image a writable layer. Nothing runs, nothing is mounted. */
  create(image: string, request: CreateRequest): Promise<Container>;
  /**
   * Starts its first process.
   * @throws StartError with docker's exit code (125, 126, 127)
   */
  start(name: string, options?: StartOptions): Promise<StartedContainer>;
  /** All of them, newest first. */
  list(): Promise<ContainerInfo[]>;
  /** @throws NOT_FOUND; INVALID_ARGUMENT when the beginning of an ID fits several */
  get(name: string): Promise<ContainerInfo>;
  /** Its image, whatever has become of that image's names. */
  imageOf(container: Container): Promise<StoredImage>;
  remove(name: string, options?: RemoveContainerOptions): Promise<void>;
  rename(name: string, to: string): Promise<void>;
  /** Asks it to end, and makes it, after `grace` milliseconds (-1: never). Harmless when it has. */
  stop(name: string, options?: StopContainerOptions): Promise<void>;
  /** @param signal - a number. Default: SIGKILL */
  kill(name: string, signal?: number): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  /** @returns how it ended; `undefined`: it was never started, or nobody knows */
  wait(name: string, options?: Abortable): Promise<Exit | undefined>;
  /** Connects to its first process. */
  attach(name: string): Promise<Attachment>;
  /** Runs one more process in it. */
  exec(name: string, options: ExecRequest): Promise<Started>;
  logs(name: string, query?: LogQuery): AsyncIterable<LogEntry>;
  processes(name: string): Promise<readonly ContainerProcess[]>;
  /** What it has changed, as docker prints it. */
  changes(name: string): Promise<readonly ListedChange[]>;
  /** Size of its writable layer. */
  usage(name: string): Promise<Usage>;
  graphDriver(name: string): Promise<GraphDriver>;
  /**
   * Makes an image of its image and what it has changed. It goes on as it is; it is paused while its
   * files are read. The same changes give the same digest, on whatever driver they were made.
   */
  commit(name: string, options?: CommitContainerOptions): Promise<StoredImage>;
  /** The tree as a tar archive. */
  export(name: string, options?: Abortable): Bytes;
  /** Lets `task` have a file, or a directory with all in it, as an archive. Its `path` is a byte string. */
  copyFrom<T>(
    name: string,
    path: string,
    options: CopySourceOptions,
    task: (source: CopySource) => Promise<T>,
  ): Promise<T>;
  /** Puts it into a directory that is there, under its own name, else there as `path`. */
  copyTo(name: string, path: string, source: CopySource, options?: ExtractOptions): Promise<void>;
  /** Puts the members of an archive into an existing directory. */
  extractTo(name: string, path: string, archive: Bytes, options?: ExtractOptions): Promise<void>;
  /** Lets `task` see its tree, mounted, whether it runs or not. */
  withTree<T>(name: string, task: (root: string) => Promise<T>): Promise<T>;
  /** Removes all that do not run. @returns their IDs, and the bytes that were freed */
  prune(options?: PruneContainersOptions): Promise<PrunedContainers>;
}

export interface CreateRequest extends Omit<ContainerSettings, 'imageName' | 'labels'> {
  /** Besides those of its image, or with other values. */
  readonly labels?: ContainerSettings['labels'];
  /** Default: one by chance. */
  readonly name?: string | undefined;
}

export interface StartOptions {
  /** Already started, while something else was being done. */
  readonly monitor?: MonitorProcess | undefined;
  /** Whether output comes to the caller, who then is expected to {@link StartedContainer.settle}. */
  readonly attach?: boolean | undefined;
  readonly size?: { readonly rows: number; readonly columns: number } | undefined;
}

export interface StartedContainer extends Started {
  /** Unmounts what has ended, and removes it if that was asked for. What is not called here happens without the caller. */
  settle(): Promise<void>;
}

export interface ContainerInfo extends Container {
  readonly state: ContainerState;
  /** Of its log, state and generated files. */
  readonly directory: string;
}

export interface StopContainerOptions extends Abortable {
  /** A number. Default: what the container, or its image, says. */
  readonly number?: number | undefined;
  /** In milliseconds. */
  readonly grace?: number | undefined;
}

export interface ExecRequest extends ExecOptions {
  readonly stdin?: boolean | undefined;
  readonly attach?: boolean | undefined;
  readonly monitor?: MonitorProcess | undefined;
}

export interface CommitContainerOptions extends DeriveOptions {
  readonly author?: string | undefined;
  readonly message?: string | undefined;
  /** Dockerfile instructions: `CMD ["x"]`, `ENV A=1`, … */
  readonly changes?: readonly string[] | undefined;
  /** Default: true. */
  readonly pause?: boolean | undefined;
}

export interface PruneContainersOptions {
  /** Removes nothing. */
  readonly dryRun?: boolean | undefined;
  readonly filter?: ((container: ContainerInfo) => boolean) | undefined;
}

export interface PrunedContainers {
  readonly containers: readonly string[];
  readonly bytes: number;
}
