import { mkdir } from 'node:fs/promises';
import { Refusal } from './exchange.ts';
import { Upload } from './upload.ts';

export interface UploadLimits {
  /** Largest blob, in bytes. Default 64 GiB. */
  readonly maxUploadSize?: number | undefined;
  /** Uploads in progress at once, forgotten ones included until they expire. Default 100. */
  readonly maxUploads?: number | undefined;
  /** An upload that nobody touched for so long is forgotten, in milliseconds. Default one hour. */
  readonly uploadExpiry?: number | undefined;
  /**
   * Smallest chunk of a chunked upload, in bytes, except for the last one. Default 1: a chunk costs
   * this server little; a registry behind it may want more.
   */
  readonly minChunkLength?: number | undefined;
}

const DEFAULTS = Object.freeze({
  maxUploadSize: 64 * 1024 ** 3,
  maxUploads: 100,
  uploadExpiry: 3_600_000,
  minChunkLength: 1,
});

/** The uploads in progress, bounded in number, size and age. */
export class Uploads implements AsyncDisposable {
  readonly minChunkLength: number;
  readonly #directory: string;
  readonly #limits: { [Key in keyof typeof DEFAULTS]: number };
  readonly #uploads = new Map<string, Upload>();
  readonly #sweeper: NodeJS.Timeout;
  #opening = 0;

  constructor(directory: string, limits: UploadLimits = {}) {
    this.#directory = directory;
    this.#limits = {
      maxUploadSize: limits.maxUploadSize ?? DEFAULTS.maxUploadSize,
      maxUploads: limits.maxUploads ?? DEFAULTS.maxUploads,
      uploadExpiry: limits.uploadExpiry ?? DEFAULTS.uploadExpiry,
      minChunkLength: limits.minChunkLength ?? DEFAULTS.minChunkLength,
    };
    this.minChunkLength = this.#limits.minChunkLength;
    const interval = Math.min(this.#limits.uploadExpiry, 60_000);
    this.#sweeper = setInterval(() => void this.#sweep(), interval).unref();
  }

  async open(repository: string): Promise<Upload> {
    const { maxUploads, maxUploadSize } = this.#limits;
    if (this.#uploads.size + this.#opening >= maxUploads)
      throw new Refusal(
        429,
        'TOOMANYREQUESTS',
        `${maxUploads} uploads are in progress; finish or cancel some, or wait until they expire`,
        { 'Retry-After': 60 },
      );
    this.#opening++;
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      const upload = await Upload.create(repository, this.#directory, maxUploadSize);
      this.#uploads.set(upload.id, upload);
      return upload;
    } finally {
      this.#opening--;
    }
  }

  /** @throws a refusal unless the repository has such an upload. */
  get(repository: string, id: string): Upload {
    const upload = this.#uploads.get(id);
    if (upload?.repository === repository) return upload;
    throw new Refusal(
      404,
      'BLOB_UPLOAD_UNKNOWN',
      `there is no upload ${id}: it was completed, cancelled, or untouched for too long`,
    );
  }

  /** Stops whoever works on an upload and forgets it. */
  async discard(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await upload.discard();
  }

  /** The same, for the request that works on it. */
  async end(upload: Upload): Promise<void> {
    this.#uploads.delete(upload.id);
    await upload.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#uploads.values()].map((upload) => this.discard(upload)));
  }

  async #sweep(): Promise<void> {
    const oldest = Date.now() - this.#limits.uploadExpiry;
    for (const upload of this.#uploads.values())
      if (!upload.busy && upload.usedAt < oldest)
        // A file that cannot be removed now stays for whoever cleans the directory; nothing waits for it.
        await this.discard(upload).catch(() => {});
  }
}
