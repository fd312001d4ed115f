import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pack } from '../layer/pack.ts';
import type { DiffId, Digest } from '../oci/digest.ts';
import type { Driver, Snapshot } from '../snapshot/driver.ts';
import { erofs, type ErofsOptions } from '../snapshot/drivers/erofs.ts';
import { performMounts } from '../sys/mount.ts';
import { tarOf, type Tree } from './tree.ts';
import { unpackTar } from './unpack-stack.ts';

/** Layers of driver erofs in a directory, with what a store would have recorded of them. */
export class ErofsLayers implements AsyncDisposable {
  readonly directory: string;
  readonly driver: Driver;
  readonly recorded: Map<string, Digest> = new Map();
  readonly #options: Partial<ErofsOptions>;
  readonly #diffIds = new Map<string, DiffId>();

  /** @param root - existing; `layers` and `run` are made in it */
  constructor(root: string, options: Partial<ErofsOptions> = {}) {
    this.directory = join(root, 'layers');
    mkdirSync(this.directory);
    this.#options = options;
    this.driver = this.another();
  }

  /** What another process has of the same layers. */
  another(): Driver {
    const digestOf = (id: string): Digest | undefined => this.recorded.get(id);
    return erofs(this.directory, { pack, digestOf, ...this.#options });
  }

  /** A layer as a pull makes it, on `parents` (nearest first) if it depends on them. */
  async add(id: string, members: Tree, parents: readonly string[] = []): Promise<void> {
    await this.driver.create({ id, kind: 'committed', parents });
    const facts = await unpackTar(tarOf(members), {
      form: 'tar',
      directory: join(this.directory, id),
      parents: parents.map((parent) => ({
        directory: join(this.directory, parent),
        diffId: this.#diffIds.get(parent)!,
        form: 'tar',
      })),
    });
    this.recorded.set(id, facts.indexDigest);
    this.#diffIds.set(id, facts.diffId);
  }

  /** Makes a snapshot and mounts it on `target`. */
  async mount(snapshot: Snapshot, target: string): Promise<AsyncDisposable> {
    await this.driver.create(snapshot);
    return performMounts(await this.driver.mounts!(snapshot), target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver.release!(() => []);
  }
}
