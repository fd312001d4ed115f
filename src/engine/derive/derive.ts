import type { RebaseFinding } from '../../explain/rebase.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Compression } from '../../io/compression.ts';
import type { ImageFormat } from '../../oci/media-type.ts';
import type { ConfigPatch } from '../../image/patch.ts';
import type { StoredImage } from '../stored-image.ts';
import type { Owner } from './directory-layer.ts';

/** What making an image of another one is told besides. */
export interface DeriveOptions extends Abortable {
  /** Names that the new image gets. None: it can be had by its ID. */
  readonly names?: readonly string[] | undefined;
  /** When the image was made. Default: `SOURCE_DATE_EPOCH`, else now. */
  readonly created?: Date | undefined;
}

/** How layers that are made are stored. */
export interface LayerCompression {
  /** Default `gzip`. */
  readonly compression?: Compression | undefined;
  /** Of gzip 1 to 9, of zstd 1 to 19. */
  readonly level?: number | undefined;
}

export interface SquashOptions extends DeriveOptions, LayerCompression {
  /** The lowest layer that is squashed, counted from 1, the base. Default 1: all of them. */
  readonly from?: number | undefined;
}

export interface FlattenOptions extends DeriveOptions, LayerCompression {}

export interface AppendOptions extends DeriveOptions, LayerCompression {
  /** Of what is in a directory. Default 0:0; `keep`: as here. */
  readonly owner?: Owner | 'keep' | undefined;
  /** For the history. */
  readonly message?: string | undefined;
}

export interface ConvertOptions extends DeriveOptions, LayerCompression {
  /** Default: each layer as it is. */
  readonly compression?: Compression | undefined;
  /** Default: as it is. */
  readonly format?: ImageFormat | undefined;
}

export interface MutateOptions extends DeriveOptions, ConfigPatch {}

export interface RebaseOptions extends DeriveOptions {
  /** What the image was built on. Default: as its annotations say, `org.opencontainers.image.base.*`. */
  readonly oldBase?: string | undefined;
  /** What it shall be built on. Default: what the name in its annotations stands for now. */
  readonly newBase?: string | undefined;
  /** Also when something found is unsafe. */
  readonly force?: boolean | undefined;
}

export interface RebaseResult {
  readonly image: StoredImage;
  readonly findings: readonly RebaseFinding[];
}
