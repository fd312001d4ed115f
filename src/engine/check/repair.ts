import type { Source } from '../../content/content.ts';
import { syncStore } from '../../db/sync.ts';
import { MicaError } from '../../errors.ts';
import type { Abortable } from '../../io/bytes.ts';
import type { Digest } from '../../oci/digest.ts';
import { fromNode } from '../../sys/errno.ts';
import { descriptorOf, originSource, repositories } from '../blobs/origins.ts';
import type { Finding, CheckProblem } from './check.ts';
import type { Context, Store } from '../context.ts';
import { removeLeft, unpackAgain } from './unpack-again.ts';

/**
 * Mends what can be mended without losing anything: a blob is fetched again from where an image
 * came from, a layer is unpacked again from its blob. No image is ever removed.
 */
export async function repair(
  context: Context,
  findings: readonly Finding[],
  options: Abortable,
): Promise<CheckProblem[]> {
  const store = await context.store();
  const origin = originSource(store.db, () => context.registry());
  const problems: CheckProblem[] = [];
  const blobs = findings.filter(({ digest, kind }) => digest !== undefined && kind !== 'orphan');
  const rest = findings.filter((found) => !blobs.includes(found));
  for (const found of [...blobs, ...rest]) {
    const { kind, subject, message } = found;
    try {
      const repaired = await mend({ context, store, origin }, found, options);
      problems.push({ kind, subject, message, repaired });
    } catch (thrown) {
      const error = fromNode(thrown);
      if (options.signal?.aborted || !(error instanceof MicaError)) throw error;
      problems.push({
        kind,
        subject,
        message: `${message}; repair failed: ${error.message}`,
        repaired: false,
      });
    }
  }
  return problems;
}

interface Means {
  readonly context: Context;
  readonly store: Store;
  /** Where blobs were pulled from. */
  readonly origin: Source;
}

async function mend(means: Means, found: Finding, options: Abortable): Promise<boolean> {
  const { context, store } = means;
  if (found.kind === 'orphan')
    return found.digest === undefined
      ? await removeLeft(store, found.subject, options)
      : (await store.content.delete(found.digest)) > 0;
  if (found.digest !== undefined) return await fetchAgain(means, found.digest, options);
  if (found.layer !== undefined) return await unpackAgain(context, store, found.layer, options);
  return false;
}

/** From the repositories that an image with this blob was pulled from, by digest. */
async function fetchAgain(
  { store, origin }: Means,
  digest: Digest,
  options: Abortable,
): Promise<boolean> {
  using lease = store.leases.open(`check --repair ${digest}`);
  lease.hold('blob', [digest]);
  const target = descriptorOf(store.db, digest);
  if (target === undefined || repositories(store.db)(digest).length === 0)
    throw new MicaError('NOT_FOUND', `no image says where ${digest} came from`);
  store.db.transaction(() => store.content.condemn([digest]));
  await store.content.delete(digest);
  await store.content.push(
    target,
    (offset) => origin.fetch(target, { offset, signal: options.signal }),
    options,
  );
  await syncStore(store.db);
  store.db.transaction(() => store.content.ready([digest]), { durable: true });
  return true;
}
