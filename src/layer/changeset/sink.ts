import type { Node } from '../../erofs/node.ts';

/**
 * Where a layer's files go. It is told what to do with resolved places: `parent` is a directory that
 * the sink was told to make (or that lower layers have), its path without symbolic links; `name` is
 * one name in it.
 */
export interface LayerSink {
  /** A directory that this layer has not had so far. Its attributes may change until {@link finish}. */
  directory(parent: string, name: string, node: Node): void;
  /** A new file; its content follows in `data`, then comes `end`. */
  file(parent: string, name: string, node: Node): void;
  data(chunk: Uint8Array): void;
  end(): void;
  /** A symbolic link, device or fifo. */
  special(parent: string, name: string, node: Node): void;
  /** Another name for `node`, which this layer has at `target`. */
  link(target: Place, parent: string, name: string, node: Node): void;
  /** The lower layers' file at that very place becomes this layer's own, unchanged. */
  copyUp(parent: string, name: string, node: Node, layer: number): void;
  /** Takes away what this layer has there, with everything below. */
  remove(parent: string, name: string): void;
  /** Takes away what lower layers have there; this layer has nothing. */
  whiteout(parent: string, name: string): void;
  /** Takes away what lower layers have in the directory; what this layer has in it stays. */
  opaque(path: string, directory: Node): void;
  /** Everything is there: sets the attributes of all directories. */
  finish(root: Node, opaque: ReadonlySet<Node>): void;
  [Symbol.dispose](): void;
}

export interface Place {
  readonly parent: string;
  readonly name: string;
}

const ignore = (): void => {};

/** Files that are nobody's business: the tar is kept, or the result will not be used. */
export const noSink: LayerSink = {
  directory: ignore,
  file: ignore,
  data: ignore,
  end: ignore,
  special: ignore,
  link: ignore,
  copyUp: ignore,
  remove: ignore,
  whiteout: ignore,
  opaque: ignore,
  finish: ignore,
  [Symbol.dispose]: ignore,
};
