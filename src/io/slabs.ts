/** Bytes that lie in memory of somebody else: whoever gets them says when they are needed no more. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** To be called once; the bytes change afterwards. */
  readonly release: () => void;
}

export interface Slab extends Piece {
  readonly bytes: Buffer;
}

/** A few buffers of one size that are used again and again: fresh memory costs more than what is done with it. */
export class Slabs {
  readonly #size: number;
  #free: Slab[] = [];
  readonly #made: Slab[] = [];
  #unmade: number;
  #waiting: ((slab: Slab) => void) | undefined;

  constructor(count: number, size: number) {
    this.#unmade = count;
    this.#size = size;
  }

  /** A slab, as soon as one is free. Only one caller may wait. */
  take(): Slab | Promise<Slab> {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#unmade > 0) return this.#make();
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** All are free again. For when nobody who had any, or waited, is left: whoever was stopped gave nothing back. */
  reclaim(): void {
    this.#free = [...this.#made];
    this.#waiting = undefined;
  }

  #make(): Slab {
    this.#unmade--;
    const release = (): void => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#free.push(slab);
      else waiting(slab);
    };
    const slab: Slab = { bytes: Buffer.allocUnsafeSlow(this.#size), release };
    this.#made.push(slab);
    return slab;
  }
}
