import { join } from 'node:path';
import type { Digest } from '../../oci/digest.ts';
import { type HeldLock, holdWhenFree, tryLock } from '../../sys/alive.ts';
import type { RetryEvent } from '../../registry/options.ts';
import { tellRetries } from '../attempt.ts';
import type { Context, Store } from '../context.ts';
import { drop } from './drop.ts';
import { policyOf } from './policy.ts';
import { prove, unproven } from './prove.ts';
import { restoreAll } from './restore.ts';
import type { LayerBlobsPolicy } from '../config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Abortable } from '../../io/bytes.ts';

export interface SettleOptions extends Abortable {
  /** Look for recipes; otherwise only what is proven already is dropped. Default true. */
  readonly prove?: boolean;
  /** With the policy `keep`: bring back what was dropped before. Default false. */
  readonly restore?: boolean;
  /** Wait for another process that is at it, instead of leaving it all to that. Default false. */
  readonly wait?: boolean;
  readonly onProgress?: ((event: SettleEvent) => void) | undefined;
}

export type SettleEvent =
  | { readonly type: 'proven'; readonly target: Descriptor; readonly milliseconds: number }
  | { readonly type: 'unproven' | 'failed'; readonly target: Descriptor; readonly reason: string }
  | { readonly type: 'restored'; readonly target: Descriptor }
  /** A request to a registry is tried again. */
  | ({ readonly type: 'retry' } & RetryEvent);

export interface SettleResult {
  readonly policy: LayerBlobsPolicy;
  /** Another process is at it. */
  readonly busy: boolean;
  readonly proven: readonly Digest[];
  readonly unproven: readonly Digest[];
  readonly dropped: readonly Digest[];
  readonly restored: readonly Digest[];
  /** What went wrong may pass: the next call tries these again. */
  readonly failed: readonly Digest[];
  /** Layers that nobody has looked at yet. */
  readonly pending: readonly Digest[];
  /** Freed. */
  readonly bytes: number;
}

/** What one call has done so far. */
export interface Settled {
  readonly proven: Digest[];
  readonly unproven: Digest[];
  readonly dropped: Digest[];
  readonly restored: Digest[];
  /** Neither: what is wrong may pass. */
  readonly failed: Set<Digest>;
  /** Freed. */
  bytes: number;
}

/** @see Engine.settleBlobs */
export async function settleBlobs(
  context: Context,
  options: SettleOptions = {},
): Promise<SettleResult> {
  const done: Settled = {
    proven: [],
    unproven: [],
    dropped: [],
    restored: [],
    failed: new Set(),
    bytes: 0,
  };
  // Most stores keep everything: they are not even opened for writing.
  if (policyOf(context, await context.reading()) === 'keep' && !options.restore)
    return { ...done, policy: 'keep', busy: false, failed: [], pending: [] };
  const store = await context.store();
  using _ = tellRetries(context, options.onProgress);
  for (;;) {
    using lock = await take(store, options);
    const policy = policyOf(context, store.db);
    if (lock !== undefined) await settle(context, store, options, done);
    lock?.[Symbol.dispose]();
    // Only now: somebody may have added a layer, seen our lock, and left it to us.
    const left = policy === 'recreate' ? unproven(store) : [];
    const tried = new Set([...done.proven, ...done.unproven, ...done.failed]);
    const isOver = left.every(({ target }) => tried.has(target.digest));
    if (lock === undefined || options.prove === false || isOver)
      return {
        ...done,
        policy,
        busy: lock === undefined,
        failed: [...done.failed],
        pending: left.map(({ target }) => target.digest),
      };
  }
}

/** One process at a time; others need not wait. */
async function take({ db }: Store, { wait, signal }: SettleOptions): Promise<HeldLock | undefined> {
  const path = join(db.root, 'settle.lock');
  return wait ? await holdWhenFree(path, signal) : tryLock(path);
}

async function settle(
  context: Context,
  store: Store,
  options: SettleOptions,
  done: Settled,
): Promise<void> {
  const policy = policyOf(context, store.db);
  if (policy === 'keep') {
    if (options.restore) await restoreAll(store, options, done);
    return;
  }
  const before = done.dropped.length;
  await drop(store, policy, done);
  if (policy === 'recreate' && options.prove !== false) await prove(store, options, done);
  if (done.dropped.length > before) await store.content.project();
}
