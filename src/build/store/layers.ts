import type { Lease } from '../../db/leases.ts';
import type { LayerCompression } from '../../engine/derive/derive.ts';
import { storeChanges, storeNewLayer } from '../../engine/derive/store-layer.ts';
import type { Context, Store } from '../../engine/context.ts';
import { bringLayers } from '../../engine/publish/bring-layers.ts';
import { syncStore } from '../../db/sync.ts';
import { composeImage } from '../../image/compose.ts';
import type { ComposedImage } from '../../image/compose.ts';
import type { Abortable, Bytes } from '../../io/bytes.ts';
import type { Changes } from '../../layer/diff/change.ts';
import type { LayerTarOptions } from '../../layer/diff/tar.ts';
import type { Layer } from '../../layer/layer.ts';
import type { ImageConfig } from '../../oci/config.ts';
import { type ChainId, chainIds, hexOf } from '../../oci/digest.ts';
import { LayerRows, layerDirectory } from '../../snapshot/layer-rows.ts';
import { holdLayers } from '../../snapshot/trees.ts';
import { storedLayer } from '../../union/stored.ts';
import type { UnionTree } from '../../union/tree.ts';
import { openUnion } from '../../union/union.ts';
import type { BuiltLayer } from '../stage-state.ts';

/** Makes layers part of the store, and shows what they look like together. */
export class BuildLayers {
  readonly store: Store;
  readonly #context: Context;
  readonly #lease: Lease;
  /** Of the layers that are made. */
  readonly compression: LayerCompression;

  constructor(context: Context, store: Store, lease: Lease, compression: LayerCompression) {
    this.#context = context;
    this.store = store;
    this.#lease = lease;
    this.compression = compression;
  }

  /** Keeps an archive as a compressed blob, and unpacked where that depends on nothing below. */
  async add(tar: Bytes, { signal }: Abortable = {}): Promise<BuiltLayer> {
    const { store } = this;
    const options = { format: 'oci', ...this.compression, signal } as const;
    const { descriptor, diffId } = await storeNewLayer({ store, lease: this.#lease }, tar, options);
    return { descriptor, diffId };
  }

  /** The same of changes to a tree. */
  async addChanges(changes: Changes, options: LayerTarOptions & Abortable): Promise<BuiltLayer> {
    const { store } = this;
    const storing = { format: 'oci', ...this.compression, ...options } as const;
    const place = { store, lease: this.#lease };
    const { descriptor, diffId } = await storeChanges(place, changes, storing);
    return { descriptor, diffId };
  }

  /** Unpacks layers that are not, each on those below. @returns their numbers, base first */
  async unpack(layers: readonly BuiltLayer[], { signal }: Abortable = {}): Promise<number[]> {
    const { store } = this;
    const diffIds = layers.map(({ diffId }) => diffId);
    this.#lease.hold('layer', [...diffIds, ...chainIds(diffIds)]);
    this.#lease.hold(
      'blob',
      layers.map(({ descriptor }) => descriptor.digest),
    );
    return bringLayers(
      {
        store,
        lease: this.#lease,
        source: store.content,
        image: imageOf({ architecture: '', os: 'linux', rootfs: rootfsOf(layers) }, layers, store)
          .image,
        emit: () => {},
        unpacker: () => this.#context.unpacker(),
        limit: this.#context.config.maxConcurrentDownloads,
      },
      { signal, onFetched: () => {} },
    );
  }

  /** All layers as one tree. Whoever opens it closes it. */
  async open(layers: readonly BuiltLayer[], options: Abortable = {}): Promise<UnionTree> {
    const { db } = this.store;
    const ids = await this.unpack(layers, options);
    const rows = new LayerRows(db);
    const tars = new Map(
      ids.map((id, at) => [hexOf(layers[at]!.diffId), `${layerDirectory(db, id)}/layer.tar`]),
    );
    return openUnion(
      ids.map((id) =>
        storedLayer(layerDirectory(db, id), rows.get(id)!.form, {
          tarOf: (hex) => tars.get(hex),
          hold: () => holdLayers(db, [id]),
        }),
      ),
    );
  }

  /** Lets snapshots be put on these layers. @returns the name of the topmost, or '' */
  async commit(layers: readonly BuiltLayer[], options: Abortable = {}): Promise<ChainId | ''> {
    const { store } = this;
    const ids = await this.unpack(layers, options);
    const chain = chainIds(layers.map(({ diffId }) => diffId));
    await syncStore(store.db);
    store.db.transaction(
      () => {
        store.layers.ready(ids);
        for (const [at, chainId] of chain.entries())
          store.snapshots.record(chainId, { parent: chain[at - 1] ?? '', layer: ids[at]! });
      },
      { durable: true },
    );
    return chain.at(-1) ?? '';
  }

  /** Whether the blob of a layer is (still) here. */
  async has({ descriptor, diffId }: BuiltLayer): Promise<boolean> {
    this.#lease.hold('blob', [descriptor.digest]);
    this.#lease.hold('layer', [diffId]);
    const { content } = this.store;
    return content.isDropped(descriptor.digest) || (await content.has(descriptor));
  }
}

export const rootfsOf = (layers: readonly BuiltLayer[]): ImageConfig['rootfs'] => ({
  type: 'layers',
  diff_ids: layers.map(({ diffId }) => diffId),
});

/** The documents of an image of these layers. */
export const imageOf = (
  config: ImageConfig,
  layers: readonly BuiltLayer[],
  { content }: Store,
): ComposedImage =>
  composeImage(
    config,
    layers.map(
      ({ descriptor, diffId }): Layer => ({
        descriptor,
        diffId,
        open: (options) => content.fetch(descriptor, options),
      }),
    ),
  );
