import type { Abortable } from '../../io/bytes.ts';
import type { Compression } from '../../io/compression.ts';

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
