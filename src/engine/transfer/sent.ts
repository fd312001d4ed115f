import type { CopyEvent } from '../../content/copy.ts';
import type { Digest } from '../../oci/digest.ts';
import type { TransferEvent } from './transfer.ts';

/** Tells of a copy in the words of a transfer, and counts. */
export class Sent {
  readonly #emit: (event: TransferEvent) => void;
  /** Of each blob that moved. */
  readonly #bytes = new Map<Digest, number>();

  constructor(emit: (event: TransferEvent) => void) {
    this.#emit = emit;
  }

  /** Sent, those of documents included and those that were sent twice not. */
  get bytes(): number {
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  tell(event: CopyEvent): void {
    const { target } = event;
    if (event.type !== 'bytes')
      return this.#emit({ type: event.type === 'exists' ? 'exists' : 'complete', target });
    const before = this.#bytes.get(target.digest) ?? 0;
    this.#bytes.set(target.digest, Math.max(before, event.bytes));
    this.#emit({ type: 'bytes', target, bytes: event.bytes, resumed: 0, shared: false });
  }
}
