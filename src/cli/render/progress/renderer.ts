import type { PullEvent, PullResult } from '../../../engine/engine.ts';

/** Shows a pull as it goes. Synchronous, as events are. */
export interface PullRenderer {
  event(event: PullEvent): void;
  /** The pull has ended, well or not; what is shown stays. */
  end(result: PullResult | undefined): void;
}
