import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Bytes } from '../../../io/bytes.ts';
import { fromNode } from '../../../sys/errno.ts';
import type { Mount } from '../../../sys/mount-data.ts';
import { parentsOption } from '../../../sys/windows/layer-mount.ts';
import { layerService } from '../../../sys/windows/vmcompute.ts';
import { exportLayer } from '../../../windows/export-layer.ts';
import type { CreateOptions, Snapshot } from '../../driver.ts';
import type { Directories } from '../directories.ts';
import { importLayer } from './import-layer.ts';

/** Writable layers on Windows, with the layers below them as Windows works with them. */
export class Sandboxes {
  readonly #dirs: Directories;
  /** The service knows a layer by the name of its directory alone, in all stores of the machine. */
  readonly #prefix: string;

  constructor(root: string, dirs: Directories) {
    this.#dirs = dirs;
    this.#prefix = createHash('sha256').update(root).digest('hex').slice(0, 16);
  }

  create({ id, parents }: Snapshot, { maxSize }: CreateOptions = {}): void {
    const service = layerService();
    const chain = parents.map((parent) => this.#place(parent));
    // From the base up: each is imported on those below it.
    for (let at = parents.length - 1; at >= 0; at--)
      importLayer(this.#dirs.of(parents[at]!), chain[at]!, chain.slice(at + 1));
    const place = this.#place(id);
    if (existsSync(place)) service.destroy(place);
    service.createSandbox(place, chain);
    if (maxSize !== undefined) service.expandSandbox(place, maxSize);
  }

  mounts({ id, kind, parents }: Snapshot): readonly Mount[] {
    const options = [
      kind === 'active' ? 'rw' : 'ro',
      parentsOption(parents.map((parent) => this.#place(parent))),
    ];
    return [{ type: 'windows-layer', source: this.#place(id), options }];
  }

  /** The layer that the changes are, as an archive. */
  async *diff({ id, parents }: Snapshot): Bytes {
    const [service, place] = [layerService(), this.#place(id)];
    const to = join(this.#dirs.of(id), 'exported');
    const chain = parents.map((parent) => this.#place(parent));
    try {
      rmSync(to, { recursive: true, force: true });
      mkdirSync(to);
      service.activate(place);
      try {
        // A sandbox that nothing ever ran in is not initialised before that.
        service.prepare(place, chain);
        service.unprepare(place);
        service.exportLayer(place, to, chain);
      } finally {
        service.deactivate(place);
      }
      yield* exportLayer(to);
    } finally {
      rmSync(to, { recursive: true, force: true });
    }
  }

  /** What Windows made goes first, since only it can remove that. */
  remove(id: string): void {
    try {
      if (existsSync(this.#place(id))) layerService().destroy(this.#place(id));
    } catch (error) {
      throw fromNode(error);
    }
  }

  #place(id: string): string {
    return join(this.#dirs.of(id), `mica-${this.#prefix}-${id}`);
  }
}
