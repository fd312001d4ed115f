import type { TransferEvent } from '../../../engine/transfer/transfer.ts';

/** Shows images on their way. Synchronous, as events are. */
export interface Renderer {
  event(event: TransferEvent): void;
  /** It has ended, well or not; what is shown stays. */
  end(conclusion: Conclusion | undefined): void;
}

/** What it came to. */
export interface Conclusion {
  readonly lines: readonly string[];
  /** For programs; `type` says what it is. */
  readonly fact: { readonly type: string };
}
