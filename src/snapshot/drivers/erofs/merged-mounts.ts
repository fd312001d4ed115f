import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { isCode, MicaError } from '../../../errors.ts';
import type { IndexDevice } from '../../../erofs/node.ts';
import { openIndex } from '../../../erofs/read.ts';
import { errnoOf } from '../../../sys/errno.ts';
import type { SharedMount } from '../../../sys/mount-data.ts';
import { isSharedMounted } from '../../../sys/mount/shared.ts';
import { INDEX, TAR, verifyIndex, verifyTar } from './layer-index.ts';
import type { LayerMounts, LayerMountsOptions } from './layer-mounts.ts';
import { MAX_LOWERS } from '../overlay.ts';
import { findMerged, isIntact, makeMerged, mergedKey, mergedKeys } from './merged-index.ts';

export interface MergedMountsOptions extends LayerMountsOptions {
  /** How many layers make a stack deep. */
  readonly mergeFrom?: number | undefined;
}

/**
 * Where a stack of mounts begins to cost more than it saves (docs/drivers/erofs.md has the numbers):
 * each layer makes every first look at a name slower, while the page cache of its files is shared
 * with other stacks only if it is mounted by itself.
 */
const MERGE_FROM = 32;

/**
 * Mounts of deep stacks as one: of the merged index, whose devices are the tars of the layers. One
 * for each stack, whoever uses it; another stack over the same base has pages of its own.
 */
export class MergedMounts {
  readonly #directory: string;
  readonly #layers: LayerMounts;
  readonly #options: MergedMountsOptions;
  /** Keys of stacks that cannot be merged, and why. */
  readonly #refused = new Map<string, MicaError>();

  /** @param directory - the store's `layers` directory */
  constructor(directory: string, layers: LayerMounts, options: MergedMountsOptions) {
    this.#directory = directory;
    this.#layers = layers;
    this.#options = options;
  }

  /** Of the mount point, among those of layers, that a stack has (ids nearest first) if it is one mount. */
  name(stack: readonly string[]): string | undefined {
    const ids = [...new Set(stack)];
    return this.#isDeep(ids) ? nameOf(this.#keyOf(ids)) : undefined;
  }

  /**
   * What must be mounted so that a stack (ids nearest first) is shown. What is not mounted yet is
   * verified, or made.
   * @returns `undefined` when it is to be stacked instead, because it is not deep or cannot be merged
   * @throws FAILED_PRECONDITION or RESOURCE_EXHAUSTED when it can be neither merged nor stacked
   */
  async of(stack: readonly string[]): Promise<SharedMount | undefined> {
    // Each once: what a layer says a second time, further down, is all hidden by the first.
    const ids = [...new Set(stack)];
    if (!this.#isDeep(ids)) return undefined;
    const mount = await this.#mountOrRefusal(ids, this.#keyOf(ids));
    if (!(mount instanceof MicaError)) return mount;
    if (ids.length > MAX_LOWERS) throw mount;
    return undefined;
  }

  /** Ends the mounts of stacks whose nearest layer is `id`, which is going. */
  async drop(id: string): Promise<void> {
    for (const key of mergedKeys(this.#pathOf(id))) await this.#layers.drop(nameOf(key));
  }

  #isDeep(ids: readonly string[]): boolean {
    return ids.length >= (this.#options.mergeFrom ?? MERGE_FROM);
  }

  async #mountOrRefusal(ids: readonly string[], key: string): Promise<SharedMount | MicaError> {
    try {
      return this.#refused.get(key) ?? (await this.#prepare(ids, key));
    } catch (error) {
      // Layers whose files lie in no tar, or too many of them, and full disks: a stack of mounts does it, too.
      if (!isCode(error, 'FAILED_PRECONDITION') && !isCode(error, 'RESOURCE_EXHAUSTED'))
        throw error;
      if (errnoOf(error) === undefined) this.#refused.set(key, error);
      return error;
    }
  }

  async #prepare(ids: readonly string[], key: string): Promise<SharedMount> {
    const directory = this.#pathOf(ids[0]!);
    const kept = findMerged(directory, key);
    const mount = kept && this.#mountOfKept(kept, ids);
    if (mount && isSharedMounted(mount)) return mount;
    if (mount && isIntact(mount.source)) return this.#verified(mount, ids);
    if (kept !== undefined) rmSync(kept, { force: true });
    const { digestOf } = this.#options;
    for (const id of ids) verifyIndex(this.#pathOf(id), digestOf(id));
    const base = ids.toReversed();
    const made = makeMerged(directory, key, {
      indexes: base.map((id) => join(this.#pathOf(id), INDEX)),
      identity: base.map((id) => digestOf(id)).join(),
    });
    return this.#verified(this.#mount(made, ids), ids);
  }

  /** `undefined`: somebody has damaged it, or just removed it. */
  #mountOfKept(path: string, ids: readonly string[]): SharedMount | undefined {
    try {
      return this.#mount(path, ids);
    } catch (error) {
      if (UNUSABLE.some((code) => isCode(error, code))) return undefined;
      throw error;
    }
  }

  #mount(path: string, ids: readonly string[]): SharedMount {
    using index = openIndex(path);
    const tars = this.#owners(index.devices, ids).map((id) => join(this.#pathOf(id), TAR));
    const how = this.#options.directio ? ['directio'] : [];
    return {
      type: 'erofs',
      source: path,
      // Without `nosuid,nodev`: a view is a bind of it, and no view has these by itself.
      options: [...tars.map((tar) => `device=${tar}`), ...how, 'ro'],
      target: this.#layers.point(nameOf(this.#keyOf(ids))),
      uuid: index.uuid,
    };
  }

  #verified(mount: SharedMount, ids: readonly string[]): SharedMount {
    using index = openIndex(mount.source);
    const owners = this.#owners(index.devices, ids);
    for (const [n, device] of index.devices.entries()) verifyTar(this.#pathOf(owners[n]!), device);
    return mount;
  }

  /** Ids of the layers whose tars the devices are. */
  #owners(devices: readonly IndexDevice[], ids: readonly string[]): string[] {
    const owners = new Map(ids.map((id) => [this.#layers.facts(id).devices[0]?.tag, id]));
    return devices.map(({ tag }) => {
      const owner = owners.get(tag);
      if (owner !== undefined) return owner;
      throw new MicaError(
        'DATA_LOSS',
        `layers on ${ids[0]!} link files of the layer with diffID ${tag}, which they do not stand on; pull the image again`,
      );
    });
  }

  #keyOf(ids: readonly string[]): string {
    return mergedKey(ids.map((id) => `${id} ${this.#options.digestOf(id)}`));
  }

  #pathOf(id: string): string {
    return join(this.#directory, id);
  }
}

/** What a kept index that is to be made again is opened with. */
const UNUSABLE = ['DATA_LOSS', 'NOT_IMPLEMENTED', 'NOT_FOUND'] as const;

const nameOf = (key: string): string => `merged-${key}`;
