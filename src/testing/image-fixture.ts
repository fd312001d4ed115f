import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { Source } from '../content/content.ts';
import { MicaError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, hexOf, sha256, type DiffId, type Digest } from '../oci/digest.ts';
import * as mediaTypes from '../oci/media-type.ts';
import type { Platform } from '../oci/platform.ts';
import { tarOf, type Tree } from './tree.ts';

export interface FixtureOptions {
  /** How the layers are stored. Default `gzip`. */
  readonly compression?: 'gzip' | 'zstd' | 'none';
  /** Default linux/amd64. */
  readonly platform?: Platform;
  /** The config's `config`: `Env`, `Cmd`, … */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Docker's media types instead of OCI's. */
  readonly docker?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Images and indexes in memory, as bytes that anything can serve. */
export class BlobFixture implements Source {
  readonly blobs: Map<Digest, Uint8Array> = new Map();

  add(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  addJson(mediaType: string, document: unknown): Descriptor {
    return this.add(mediaType, Buffer.from(JSON.stringify(document)));
  }

  async *fetch(
    { digest }: Descriptor,
    options: { readonly offset?: number } = {},
  ): AsyncGenerator<Uint8Array> {
    const bytes = this.blobs.get(digest);
    if (!bytes) throw new MicaError('NOT_FOUND', `${digest} is not in the fixture`);
    const step = 100_000;
    for (let at = options.offset ?? 0; at < bytes.length; at += step)
      yield bytes.subarray(at, at + step);
  }

  /** An image of these layers, or archives, base first. */
  async image(
    layers: readonly (Tree | Buffer)[],
    options: FixtureOptions = {},
  ): Promise<ImageFixture> {
    const tars = layers.map((layer) => (Buffer.isBuffer(layer) ? layer : tarOf(layer)));
    const diffIds = tars.map((tar) => sha256(tar) as DiffId);
    const { os, architecture, variant } = options.platform ?? {
      os: 'linux',
      architecture: 'amd64',
    };
    const config = this.addJson(options.docker ? mediaTypes.DOCKER_CONFIG : mediaTypes.OCI_CONFIG, {
      created: CREATED,
      architecture,
      ...(variant && { variant }),
      os,
      config: options.config ?? {},
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: tars.map((_, at) => ({ created: CREATED, created_by: `fixture layer ${at}` })),
    });
    const { compression = 'gzip', docker = false } = options;
    const stored = await Promise.all(tars.map((tar) => COMPRESS[compression](tar)));
    const blobs = stored.map((bytes) => this.add(layerType(compression, docker), bytes));
    const mediaType = docker ? mediaTypes.DOCKER_MANIFEST : mediaTypes.OCI_MANIFEST;
    const { annotations } = options;
    const manifest = { schemaVersion: 2, mediaType, config, layers: blobs, annotations };
    const descriptor = this.addJson(mediaType, manifest);
    return { descriptor, config, layers: blobs, diffIds, tars };
  }

  /** An index of several platforms' images. */
  index(entries: readonly Descriptor[]): Descriptor {
    const mediaType = mediaTypes.OCI_INDEX;
    return this.addJson(mediaType, { schemaVersion: 2, mediaType, manifests: entries });
  }

  /** Writes everything as an OCI image layout, with these names. */
  async writeLayout(directory: string, names: Readonly<Record<string, Descriptor>>): Promise<void> {
    for (const [digest, bytes] of this.blobs) {
      const folder = join(directory, 'blobs', algorithmOf(digest));
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, hexOf(digest)), bytes);
    }
    const manifests: Descriptor[] = Object.entries(names).map(
      ([name, { mediaType, digest, size }]) => {
        const annotations = { 'org.opencontainers.image.ref.name': name };
        return { mediaType, digest, size, annotations };
      },
    );
    const index = { schemaVersion: 2, mediaType: mediaTypes.OCI_INDEX, manifests };
    await writeFile(join(directory, 'index.json'), JSON.stringify(index));
    await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  }
}

export interface ImageFixture {
  /** Of the manifest. */
  readonly descriptor: Descriptor;
  readonly config: Descriptor;
  /** As stored, base first. */
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly DiffId[];
  readonly tars: readonly Buffer[];
}

const CREATED = '2020-09-13T12:26:40Z';

const COMPRESS: Readonly<
  Record<NonNullable<FixtureOptions['compression']>, (tar: Buffer) => Promise<Buffer>>
> = {
  gzip: promisify(gzip),
  zstd: promisify(zstdCompress),
  none: (tar) => Promise.resolve(tar),
};

function layerType(
  compression: NonNullable<FixtureOptions['compression']>,
  docker: boolean,
): string {
  const base = docker ? mediaTypes.DOCKER_LAYER : mediaTypes.OCI_LAYER;
  if (compression === 'none') return base;
  return docker ? `${base}.${compression}` : `${base}+${compression}`;
}
