import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performMounts } from '../sys/mount.ts';
import { storedLayer } from '../union/stored.ts';
import { tarData, tarFile } from '../union/tar-data.ts';
import { openUnion } from '../union/union.ts';
import { describeDirectory, type DescribeOptions, describeTree } from './describe.ts';
import { BlobFixture } from './image-fixture.ts';
import { mountIndex, writeMerged } from './merged-index.ts';
import { type Tree, tarOf } from './tree.ts';
import { overlayOf, unpackStack } from './unpack-stack.ts';

/** The same layers, unpacked and seen through everything that can show them, as text. */
export class StackViews {
  readonly #layers: readonly Tree[];
  readonly #tars: readonly Buffer[];
  readonly #work: string;
  readonly #options: DescribeOptions;

  /** @param work - a directory that does not exist yet */
  constructor(layers: readonly Tree[], work: string, options: DescribeOptions) {
    this.#layers = layers;
    this.#tars = layers.map(tarOf);
    this.#work = work;
    this.#options = options;
    mkdirSync(work);
  }

  /** The kernel's overlay of extracted layers. */
  async overlay(): Promise<string> {
    const work = this.#make('overlay');
    const layers = await unpackStack(this.#tars, 'overlay', work);
    const [target, bottom] = [this.#make('merged'), this.#make('bottom')];
    await using _ = await performMounts([overlayOf(layers, bottom)], target);
    return describeDirectory(target, this.#options);
  }

  /** Each layer applied onto a copy of those below. */
  async direct(): Promise<string> {
    const layers = await unpackStack(this.#tars, 'direct', this.#make('direct'));
    return describeDirectory(join(layers.at(-1)!.directory, 'fs'), this.#options);
  }

  /** In user space, from extracted files or kept tars. */
  async union(form: 'overlay' | 'tar'): Promise<string> {
    const layers = await unpackStack(this.#tars, form, this.#make(`union-${form}`));
    const tars = new Map(
      layers.map(({ diffId, directory }) => [diffId.slice(7), join(directory, 'layer.tar')]),
    );
    const union = openUnion(
      layers.map(({ directory }) =>
        storedLayer(directory, form, { tarOf: (hex) => tars.get(hex) }),
      ),
    );
    await using _ = union;
    return await describeTree(union, this.#options);
  }

  /** One index of all layers, over their tars: mounted, and as the union of a single layer. */
  async merged(): Promise<{ readonly mounted: string; readonly union: string }> {
    const layers = await unpackStack(this.#tars, 'tar', this.#make('kept'));
    const [index, target] = [join(this.#work, 'merged.erofs'), this.#make('merged-target')];
    const devices = writeMerged(layers, index);
    const tars = new Map(
      layers.map(({ diffId, directory }) => [diffId.slice(7), join(directory, 'layer.tar')]),
    );
    const data = tarData(tarFile(devices[0] ?? ''), (hex) => tarFile(tars.get(hex)!));
    await using union = openUnion([{ index, data }]);
    await using _ = await mountIndex(index, devices, target);
    return {
      mounted: describeDirectory(target, this.#options),
      union: await describeTree(union, this.#options),
    };
  }

  /** What umoci unpacks, through an image layout. */
  async umoci(): Promise<string> {
    const [layout, target] = [this.#make('layout'), join(this.#work, 'umoci')];
    const fixture = new BlobFixture();
    const image = await fixture.image(this.#layers);
    await fixture.writeLayout(layout, { it: image.descriptor });
    execFileSync('umoci', ['raw', 'unpack', '--image', `${layout}:it`, target], { stdio: 'pipe' });
    return describeDirectory(target, this.#options);
  }

  #make(name: string): string {
    const path = join(this.#work, name);
    mkdirSync(path);
    return path;
  }
}
