import assert from 'node:assert/strict';
import * as F from '../erofs/format.ts';
import type { Index } from '../erofs/index-file.ts';
import { type Extent, S_IFDIR, S_IFMT } from '../erofs/node.ts';
import { openIndex } from '../erofs/read.ts';
import { openStack } from '../erofs/stack.ts';
import { type ErrorCode, MicaError } from '../errors.ts';
import { damage, fieldsOf, randomOf } from './damage-index.ts';

/** What came of damaged images. */
export interface FuzzResult {
  images: number;
  /** Those that open. */
  opened: number;
  /** Calls that gave something, and that threw, by code. */
  calls: number;
  readonly errors: Map<ErrorCode, number>;
  /** The most CPU time for all calls on one image, in milliseconds. */
  slowest: number;
}

export interface FuzzOptions {
  /** The first seed; each image has the next one. */
  readonly seed: number;
  /** Whether to go on. A test counts images: on a busy machine there are few in a second. */
  readonly more: (result: FuzzResult) => boolean;
  /** What else to do with a damaged image; any coded error is fine. */
  readonly also?: (image: Buffer) => void;
}

/** What a reader may say of a damaged image, or of one that another tool might make. */
const READING: ReadonlySet<ErrorCode> = new Set([
  'DATA_LOSS',
  'NOT_IMPLEMENTED',
  'FAILED_PRECONDITION',
]);
/** What may come of using it, too. */
const CODED: ReadonlySet<ErrorCode> = new Set([
  ...READING,
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'RESOURCE_EXHAUSTED',
]);
/** Of CPU time for everything that one image of some 100 KB is asked. */
const MOST_TIME = 4000;

/**
 * Damages sound images, asks them everything, and fails with the seed when an answer is not a coded
 * error or lies outside of what the image can hold. A long run by hand:
 *
 *     node scripts/fuzz.ts --seconds 600 --seed 1
 */
export function fuzz(images: readonly Buffer[], { seed, more, also }: FuzzOptions): FuzzResult {
  const result: FuzzResult = { images: 0, opened: 0, calls: 0, errors: new Map(), slowest: 0 };
  const all = images.map((image) => ({ image, fields: fieldsOf(image) }));
  for (let next = seed; more(result); next++) {
    const { image, fields } = all[next % all.length]!;
    const damaged = damage(image, fields, randomOf(next));
    const before = process.cpuUsage();
    try {
      new Exploration(damaged, result).run();
      if (also) attempt(() => also(damaged), result, CODED);
    } catch (error) {
      throw new Error(`seed ${next}, image ${next % all.length}: ${String(error)}`, {
        cause: error,
      });
    }
    const { user, system } = process.cpuUsage(before);
    result.slowest = Math.max(result.slowest, (user + system) / 1000);
    assert.ok(result.slowest < MOST_TIME, `seed ${next} takes ${result.slowest} ms`);
    result.images++;
  }
  return result;
}

/** @returns `undefined` when it threw what a caller can act on */
function attempt<T>(
  call: () => T,
  result: FuzzResult,
  codes: ReadonlySet<ErrorCode> = READING,
): T | undefined {
  try {
    const value = call();
    result.calls++;
    return value;
  } catch (error) {
    if (!(error instanceof MicaError) || !codes.has(error.code)) throw error;
    result.errors.set(error.code, (result.errors.get(error.code) ?? 0) + 1);
    return undefined;
  }
}

/** Calls everything on everything that can be reached. */
class Exploration {
  readonly #image: Buffer;
  readonly #result: FuzzResult;

  constructor(image: Buffer, result: FuzzResult) {
    this.#image = image;
    this.#result = result;
  }

  run(): void {
    const index = this.#try(() => openIndex(this.#image));
    if (!index) return;
    this.#result.opened++;
    const stack = this.#try(() => openStack([index]));
    let left = Math.ceil(this.#image.length / (F.DIRENT_SIZE + 1)) + 1;
    const waiting = stack?.root ? [stack.root] : [];
    for (let node = waiting.pop(); node; node = waiting.pop()) {
      assert.ok(left-- > 0, 'more files than the image has room for');
      this.#file(index, node.inode.nid);
      if ((node.inode.mode & S_IFMT) !== S_IFDIR) continue;
      const directory = node;
      const entries = this.#try(() => stack!.readdir(directory)) ?? [];
      for (const entry of entries) waiting.push(entry.node);
      this.#try(() => stack!.child(directory, entries.at(-1)?.name ?? 'missing'));
    }
  }

  #file(index: Index, nid: number): void {
    const inode = this.#try(() => index.stat(nid));
    const xattrs = this.#try(() => index.xattrs(nid)) ?? [];
    assert.equal(new Set(xattrs.map(({ name }) => name)).size, xattrs.length);
    const bytes = xattrs.reduce((sum, { value }) => sum + value.length, 0);
    assert.ok(
      bytes <= this.#image.length + F.XATTR_SHARED_MAX * 0xffff,
      `${bytes} bytes of xattrs`,
    );
    const extents = this.#try(() => index.extents(nid)) ?? [];
    this.#checkExtents(index, inode?.size ?? 0, extents);
    const target = this.#try(() => index.readlink(nid)) ?? '';
    assert.ok(target.length <= F.EROFS_SYMLINK_MAX && !target.includes('\0'));
    this.#checkNames(index, nid);
    this.#try(() => index.lookup(nid, 'f'));
  }

  /** What is listed is found, and no name leads out. */
  #checkNames(index: Index, nid: number): void {
    const entries = this.#try(() => index.readdir(nid)) ?? [];
    assert.ok(entries.length * (F.DIRENT_SIZE + 1) <= this.#image.length);
    for (const { name, nid: child } of entries) {
      assert.ok(name.length > 0 && name.length <= F.EROFS_NAME_LEN);
      assert.ok(!name.includes('/') && !name.includes('\0'), name);
      assert.equal(index.lookup(nid, name), child, name);
    }
  }

  #checkExtents(index: Index, size: number, extents: readonly Extent[]): void {
    let end = 0;
    assert.ok(extents.length <= this.#image.length / 4 + 1);
    for (const { logical, device, physical, length } of extents) {
      const room = device === 0 ? index.size : index.devices[device - 1]!.size;
      assert.ok(logical >= end && length > 0 && physical >= 0, 'extents in order');
      assert.ok(physical + length <= room || room === 0, 'an extent within its device');
      end = logical + length;
    }
    assert.ok(end <= size, 'extents within the file');
    const own = extents.find(({ device, length }) => device === 0 && length <= 1 << 20);
    if (own) index.read(own.physical, new Uint8Array(own.length));
  }

  #try<T>(call: () => T): T | undefined {
    return attempt(call, this.#result);
  }
}
