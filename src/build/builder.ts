import type { Abortable, Bytes } from '../io/bytes.ts';
import type { Platform } from '../oci/platform.ts';
import type { LayerCompression } from '../engine/derive/derive.ts';
import type { GcOptions, GcResult } from '../engine/space/gc.ts';
import type { StoredImage } from '../engine/stored-image.ts';
import type { BuildEvent } from './event.ts';

/** Builds images from Dockerfiles, in a store. */
export interface Builder extends AsyncDisposable {
  /**
   * Builds an image and names it. Nothing of it is visible before all of it is durable.
   * @throws INVALID_ARGUMENT with `file:line` for what cannot be meant · NOT_IMPLEMENTED for what is
   *   not offered here: RUN, in a store whose driver cannot mount
   */
  build(options: BuildOptions): Promise<BuildResult>;
  /** Forgets steps that builds have made, and collects what nothing else needs. */
  prune(options?: PruneBuildsOptions): Promise<GcResult>;
}

export interface PruneBuildsOptions extends GcOptions {
  /** Everything, also what was of use lately, and the directories of `RUN --mount=type=cache`. */
  readonly all?: boolean | undefined;
  /** What was not used since. Default: a week ago. */
  readonly usedBefore?: Date | undefined;
}

/** How new layers are compressed: default gzip. The layers of base images stay as they are. */
export interface BuildOptions extends Abortable, LayerCompression {
  /** Where COPY and ADD find files: a directory, or a tar archive (also compressed). */
  readonly context: string | Bytes;
  /**
   * The Dockerfile: its path in the context, or elsewhere on this machine; or its text. Default
   * `Dockerfile`.
   */
  readonly dockerfile?: string | Uint8Array | undefined;
  /** References that name the image. */
  readonly tags?: readonly string[] | undefined;
  /** Values for ARG. */
  readonly args?: Readonly<Record<string, string>> | undefined;
  /** Name or number of the stage that is the image. Default: the last. */
  readonly target?: string | undefined;
  /** Default: this machine's. */
  readonly platform?: Platform | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** What RUN may be given, by id. They get into no layer, key, history or message. */
  readonly secrets?: Readonly<Record<string, BuildSecret>> | undefined;
  /** Make every step again. */
  readonly noCache?: boolean | undefined;
  /** Ask the registry for base images that are here. */
  readonly pull?: boolean | undefined;
  /** Of RUN where it does not say itself. Default `host`. */
  readonly network?: 'none' | 'host' | undefined;
  /** `name:address`: what RUN finds in /etc/hosts, too. */
  readonly hosts?: readonly string[] | undefined;
  /**
   * More places that `COPY --from`, `RUN --mount=from=` and FROM can name, before stages and images:
   * a directory of this machine, or an image by its reference.
   */
  readonly contexts?: Readonly<Record<string, NamedContext>> | undefined;
  /**
   * Seconds since 1970 (`SOURCE_DATE_EPOCH`): the image says that it was made then, and no file of
   * its new layers is younger. Default: the build argument of that
   * name, then the environment's.
   */
  readonly sourceDateEpoch?: number | undefined;
  /** What happens, in the order it happens; steps of several stages interleave. */
  readonly onProgress?: ((event: BuildEvent) => void) | undefined;
}

/** The path of a file, or what is in it. */
export type BuildSecret = string | Uint8Array;

export type NamedContext = { readonly directory: string } | { readonly image: string };

export interface BuildResult {
  readonly image: StoredImage;
  /** Normalised references that point to it now. */
  readonly tags: readonly string[];
  /** Steps that were taken from the cache, and all that could have been. */
  readonly cached: number;
  readonly steps: number;
}
