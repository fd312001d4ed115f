import { MicaError } from '../../../errors.ts';
import { errnoOf } from '../../../sys/errno.ts';
import { zfs, zfsPatiently } from '../../../sys/zfs.ts';

/** How datasets get to be mounted: by mount(2), or only by `zfs mount`. */
export type Way = 'legacy' | 'command';

export interface DatasetOptions {
  /** The dataset above all. */
  readonly home: string;
  readonly way: Way;
}

/**
 * The datasets of a store, one for each id, all below one. What is frozen has a snapshot `@sealed`,
 * which others are clones of.
 */
export class Datasets {
  readonly #options: DatasetOptions;
  #isPoolThere = false;

  constructor(options: DatasetOptions) {
    this.#options = options;
  }

  of(id: string): string {
    return `${this.#options.home}/${id}`;
  }

  /**
   * Makes the dataset of `id`, empty or as `parent` was sealed.
   * @param maxSize - of what is written into it, in bytes
   * @returns whether there was none
   */
  async create(
    id: string,
    parent: string | undefined,
    maxSize: number | undefined,
  ): Promise<boolean> {
    const options = ['canmount=noauto', ...(maxSize === undefined ? [] : [`quota=${maxSize}`])];
    const settings = options.flatMap((option) => ['-o', option]);
    const make = (): Promise<string> =>
      parent === undefined
        ? zfs('create', ...settings, this.of(id))
        : zfs('clone', ...settings, sealed(this.of(parent)), this.of(id));
    try {
      await (parent === undefined ? this.#createAtHome(make) : make());
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      return false;
    }
  }

  /** The first of the store makes the dataset above it, which {@link dropHome} may just take away. */
  async #createAtHome(make: () => Promise<unknown>): Promise<void> {
    for (let attempt = 1; ; attempt++)
      try {
        return void (await make());
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT' || attempt === ATTEMPTS) throw error;
        await this.#createHome();
      }
  }

  /** Takes away the dataset above all, if nothing is below it. */
  async dropHome(): Promise<void> {
    try {
      await zfs('destroy', this.#options.home);
    } catch (error) {
      if (!LEFT_ALONE.has(errnoOf(error) ?? '')) throw error;
    }
  }

  /**
   * Freezes what is in the dataset of `id`, durably: this waits until all that was written is on the
   * disk. Can be repeated.
   */
  async seal(id: string): Promise<void> {
    try {
      await zfsPatiently(['snapshot', sealed(this.of(id))]);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }

  /**
   * @param letGo - ends our own use of it, before each attempt
   * @returns whether it is gone; what others use, or has clones still, is not
   * @throws UNAVAILABLE: the pool is not there, and has it perhaps
   */
  async destroy(id: string, letGo?: () => Promise<void>): Promise<boolean> {
    try {
      await zfsPatiently(['destroy', '-r', this.of(id)], letGo);
    } catch (error) {
      if (errnoOf(error) === 'EBUSY' || errnoOf(error) === 'ENOTEMPTY') return false;
      if (errnoOf(error) !== 'ENOENT') throw error;
      await this.#requirePool();
    }
    return true;
  }

  /** Ids of all that are there, those made last first: clones before what they are clones of. */
  async list(): Promise<string[]> {
    const { home } = this.#options;
    try {
      const listed = await zfs(
        'list',
        '-H',
        '-r',
        '-d',
        '1',
        '-t',
        'filesystem',
        '-o',
        'name',
        home,
      );
      const names = listed.split('\n').filter((name) => name.startsWith(`${home}/`));
      const ids = names.map((name) => name.slice(home.length + 1));
      return ids.filter((id) => /^\d+$/.test(id)).sort((a, b) => Number(b) - Number(a));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * What the dataset of `id` takes alone, in bytes; what was written in the last seconds may be missing.
   * @throws ENOENT: there is none · UNAVAILABLE: the pool is not there
   */
  async used(id: string): Promise<number> {
    const value = await this.#inPool(() =>
      zfs('get', '-H', '-p', '-o', 'value', 'used', this.of(id)),
    );
    const bytes = Number(value.trim());
    if (Number.isSafeInteger(bytes)) return bytes;
    throw new MicaError('INTERNAL', `zfs get used ${this.of(id)}: ${value.trim()} is no number`);
  }

  /** Where they are and what there is, for people; or why that cannot be told. */
  async status(): Promise<Readonly<Record<string, string>>> {
    const { home } = this.#options;
    const facts = { 'Parent Dataset': home };
    const properties = ['available', 'used', 'compression'];
    const get = [
      'get',
      '-H',
      '-o',
      'value',
      properties.join(','),
      home.slice(0, home.lastIndexOf('/')),
    ];
    try {
      const [available = '', used = '', compression = ''] = (
        await this.#inPool(() => zfs(...get))
      ).split('\n');
      return {
        ...facts,
        'Space Available': available,
        'Space Used': used,
        Compression: compression,
      };
    } catch (error) {
      if (!(error instanceof MicaError)) throw error;
      return { ...facts, 'Out of Reach': error.message };
    }
  }

  /** What does not exist may be in a pool that is not imported. */
  async #inPool<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') await this.#requirePool();
      throw error;
    }
  }

  /** Asked until it was seen once. */
  async #requirePool(): Promise<void> {
    if (this.#isPoolThere) return;
    const [pool = ''] = this.#options.home.split('/');
    try {
      await zfs('list', '-H', '-o', 'name', pool);
      this.#isPoolThere = true;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      throw new MicaError(
        'UNAVAILABLE',
        `pool ${pool} is not there: \`zpool import\` shows those that are not imported`,
      );
    }
  }

  /**
   * What all inherit. Names are bytes, and files of an image are what they are there, whatever the
   * datasets above are set to.
   */
  async #createHome(): Promise<void> {
    const { home, way } = this.#options;
    const ofWay =
      way === 'legacy'
        ? ['mountpoint=legacy', 'acltype=posixacl', 'xattr=sa']
        : ['mountpoint=none', 'canmount=off'];
    const properties = [...ofWay, ...PROPERTIES].flatMap((property) => ['-o', property]);
    try {
      await zfs('create', ...properties, home);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}

const PROPERTIES = [
  'atime=off',
  'devices=on',
  'exec=on',
  'setuid=on',
  'readonly=off',
  'snapdir=hidden',
  'utf8only=off',
  'normalization=none',
  'casesensitivity=sensitive',
];

/** How often the dataset above all may go while the first below it is made. */
const ATTEMPTS = 5;

/** It is gone, or somebody has something in it. */
const LEFT_ALONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY', 'EBUSY']);

const sealed = (dataset: string): string => `${dataset}@sealed`;
