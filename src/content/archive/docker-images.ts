import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import { type Compression, SNIFF_LENGTH, sniffCompression } from '../../io/compression.ts';
import { IMAGE_NAME } from '../../oci/annotations.ts';
import { MAX_CONFIG_SIZE, parseImageConfig } from '../../oci/config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type DiffId, type Digest, sha256 } from '../../oci/digest.ts';
import { check, objectOf, optional, parseArray } from '../../oci/json.ts';
import { DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST } from '../../oci/media-type.ts';
import { DOCUMENT_LIMIT } from '../verify.ts';
import type { ArchiveFile } from './archive-file.ts';
import type { ArchiveMember, Members } from './members.ts';

/** The list of images in an archive of `docker save`. */
export const DOCKER_LIST = 'manifest.json';

/** Bytes of an archive, or bytes that stand for what the archive leaves out. */
export type Content = ArchiveMember | Uint8Array;

/** Images of an archive in Docker's own format, which has no manifests: they are made here. */
export interface DockerImages {
  /** The manifest of each image, once for each of its names. */
  readonly manifests: readonly Descriptor[];
  readonly contents: ReadonlyMap<Digest, Content>;
}

interface Config {
  readonly descriptor: Descriptor;
  readonly diffIds: readonly DiffId[];
}

interface Entry {
  readonly Config: string;
  readonly RepoTags?: readonly string[] | undefined;
  readonly Layers?: readonly string[] | undefined;
}

const Entries: v.GenericSchema<unknown, readonly Entry[]> = v.pipe(
  v.unknown(),
  v.array(
    objectOf({
      Config: v.string(),
      RepoTags: optional(v.array(v.string())),
      Layers: optional(v.array(v.string())),
    }),
  ),
);

/**
 * Reads `manifest.json`, and what it names. Layers that are stored as plain tar are known by the
 * config's diffIDs; whoever uses them finds out whether that is true.
 *
 * @throws INVALID_ARGUMENT · NOT_FOUND when it names what the archive has not
 */
export async function dockerImages(
  file: ArchiveFile,
  members: Members,
  options: Abortable,
): Promise<DockerImages> {
  const kind = { what: DOCKER_LIST, limit: DOCUMENT_LIMIT };
  const list = await document(file, found(members, DOCKER_LIST), kind.limit, DOCKER_LIST);
  const reading = new Reading(file, members, options);
  const manifests: Descriptor[] = [];
  for (const entry of check(Entries, parseArray(list, kind), kind)) {
    options.signal?.throwIfAborted();
    const manifest = await reading.image(entry);
    const names = entry.RepoTags ?? [];
    if (names.length === 0) manifests.push(manifest);
    for (const name of names) manifests.push({ ...manifest, annotations: { [IMAGE_NAME]: name } });
  }
  return { manifests, contents: reading.contents };
}

class Reading {
  readonly contents = new Map<Digest, Content>();
  readonly #file: ArchiveFile;
  readonly #members: Members;
  readonly #options: Abortable;
  /** By place: images share layers, and hashing takes its time. */
  readonly #layers = new Map<ArchiveMember, Descriptor>();
  /** By place: a list may name the same one thousands of times. */
  readonly #configs = new Map<ArchiveMember, Config>();

  constructor(file: ArchiveFile, members: Members, options: Abortable) {
    this.#file = file;
    this.#members = members;
    this.#options = options;
  }

  /** Makes the manifest of an image. */
  async image({ Config, Layers = [] }: Entry): Promise<Descriptor> {
    const { descriptor: config, diffIds } = await this.#config(Config);
    if (diffIds.length !== Layers.length)
      throw new MicaError(
        'INVALID_ARGUMENT',
        `${DOCKER_LIST} has ${Layers.length} layers for ${Config}, which has ${diffIds.length}`,
      );
    const layers: Descriptor[] = [];
    for (const [at, path] of Layers.entries()) layers.push(await this.#layer(path, diffIds[at]!));
    const manifest = { schemaVersion: 2, mediaType: DOCKER_MANIFEST, config, layers };
    const bytes = Buffer.from(JSON.stringify(manifest));
    return this.#keep(DOCKER_MANIFEST, bytes, bytes);
  }

  async #config(path: string): Promise<Config> {
    const member = found(this.#members, path);
    const known = this.#configs.get(member);
    if (known !== undefined) return known;
    const bytes = await document(this.#file, member, MAX_CONFIG_SIZE, path);
    const { diff_ids: diffIds } = parseImageConfig(bytes).rootfs;
    // Read again when it is asked for: thousands of them need not fit into memory.
    const config = { descriptor: this.#keep(DOCKER_CONFIG, bytes, member), diffIds };
    this.#configs.set(member, config);
    return config;
  }

  async #layer(path: string, diffId: DiffId): Promise<Descriptor> {
    const member = found(this.#members, path);
    const known = this.#layers.get(member);
    if (known !== undefined) return known;
    const { offset, size } = member;
    const start = await this.#file.start(offset, Math.min(SNIFF_LENGTH, size));
    const compression = sniffCompression(start);
    const digest = compression === 'none' ? diffId : await this.#hash(member);
    const target = { mediaType: TYPES[compression], digest, size };
    this.#layers.set(member, target);
    this.contents.set(digest, member);
    return target;
  }

  async #hash({ offset, size }: ArchiveMember): Promise<Digest> {
    const hash = createHash('sha256');
    const options = { ...this.#options, lend: true };
    for await (const chunk of this.#file.bytes(offset, size, options)) hash.update(chunk);
    return `sha256:${hash.digest('hex')}`;
  }

  #keep(mediaType: string, bytes: Uint8Array, content: Content): Descriptor {
    const digest = sha256(bytes);
    this.contents.set(digest, content);
    return { mediaType, digest, size: bytes.byteLength };
  }
}

const TYPES: Readonly<Record<Compression, string>> = {
  none: DOCKER_LAYER,
  gzip: `${DOCKER_LAYER}.gzip`,
  zstd: `${DOCKER_LAYER}.zstd`,
};

function found(members: Members, path: string): ArchiveMember {
  const member = path === DOCKER_LIST ? members.findOnly(path) : members.find(path);
  if (member !== undefined) return member;
  const name = JSON.stringify(path.slice(0, 200));
  throw new MicaError('NOT_FOUND', `${DOCKER_LIST} names ${name}, which the archive has not`);
}

/** A member that is small enough to be held in memory. */
export async function document(
  file: ArchiveFile,
  { offset, size }: ArchiveMember,
  limit: number,
  name: string,
): Promise<Buffer> {
  if (size > limit)
    throw new MicaError('INVALID_ARGUMENT', `${name} has ${size} bytes; ${limit} are the most`);
  return Buffer.concat(await Array.fromAsync(file.bytes(offset, size)));
}
