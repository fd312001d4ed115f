import { dirname, join } from 'node:path';
import { MicaError } from '../../../errors.ts';
import type { Digest } from '../../../oci/digest.ts';
import type { Mount, SharedMount } from '../../../sys/mount-data.ts';
import { dropShared, isSharedMounted, releaseShared } from '../../../sys/mount/shared.ts';
import {
  INDEX,
  type IndexFacts,
  readIndexFacts,
  TAR,
  verifyIndex,
  verifyTar,
} from './layer-index.ts';

export interface LayerMountsOptions {
  /** Recorded sha256 of a layer's index. */
  readonly digestOf: (id: string) => Digest | undefined;
  /** The kernel reads tars past their page cache: pages are cached once, and read in smaller pieces. */
  readonly directio: boolean;
}

/**
 * The mounts of layers, one each for all stacks of the store: two mounts of one index would not
 * share their page cache. Mount points are `run/layers/<id>` beside the `layers` directory.
 */
export class LayerMounts {
  readonly #layers: string;
  readonly #points: string;
  readonly #options: LayerMountsOptions;
  /** By id, as of an index with that digest: a repair may give a layer another one. */
  readonly #facts = new Map<string, IndexFacts & { readonly digest: Digest | undefined }>();

  /** @param layers - the store's `layers` directory */
  constructor(layers: string, options: LayerMountsOptions) {
    this.#layers = layers;
    this.#points = join(dirname(layers), 'run', 'layers');
    this.#options = options;
  }

  /** Where layer `id` is shown, once it is mounted. */
  point(id: string): string {
    return join(this.#points, id);
  }

  /**
   * What must be mounted so that each of `ids` (a stack, nearest first) is shown. What is not
   * mounted yet is verified.
   */
  async of(ids: readonly string[]): Promise<Mount[]> {
    const mounts: Mount[] = [];
    for (const id of ids) {
      const tars = this.#tars(id, ids);
      const mount = this.#mount(id, tars);
      if (!isSharedMounted(mount)) this.#verify(id, tars);
      mounts.push(mount);
    }
    return mounts;
  }

  /** Ends mounts that nobody needs. */
  release(needed: () => ReadonlySet<string>): Promise<void> {
    return releaseShared(this.#points, needed);
  }

  /** Ends the mount of a layer that is going. */
  async drop(id: string): Promise<void> {
    this.#facts.delete(id);
    await dropShared(this.point(id));
  }

  /** What layer `id` says of itself. */
  facts(id: string): IndexFacts {
    const digest = this.#options.digestOf(id);
    const known = this.#facts.get(id);
    if (known !== undefined && known.digest === digest) return known;
    const facts = { ...readIndexFacts(join(this.#layers, id)), digest };
    this.#facts.set(id, facts);
    return facts;
  }

  #mount(id: string, tars: readonly string[]): SharedMount {
    const devices = tars.map((owner) => `device=${join(this.#layers, owner, TAR)}`);
    const how = this.#options.directio ? ['directio'] : [];
    return {
      type: 'erofs',
      source: join(this.#layers, id, INDEX),
      options: [...devices, ...how, 'ro', 'nosuid', 'nodev'],
      target: this.point(id),
      uuid: this.facts(id).uuid,
    };
  }

  /** Ids of the layers whose tars hold the content of layer `id`, in the order of its devices. */
  #tars(id: string, stack: readonly string[]): string[] {
    const [, ...others] = this.facts(id).devices;
    if (others.length === 0) return [id];
    const owners = new Map(stack.map((one) => [this.facts(one).devices[0]?.tag, one]));
    return [id, ...others.map(({ tag }) => owners.get(tag) ?? missing(id, tag))];
  }

  #verify(id: string, tars: readonly string[]): void {
    verifyIndex(join(this.#layers, id), this.#options.digestOf(id));
    for (const [n, device] of this.facts(id).devices.entries())
      verifyTar(join(this.#layers, tars[n]!), device);
  }
}

function missing(id: string, tag: string): never {
  throw new MicaError(
    'DATA_LOSS',
    `layer ${id} links files of the layer with diffID ${tag}, which it does not stand on; pull the image again`,
  );
}
