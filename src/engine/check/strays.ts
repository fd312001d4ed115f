import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { listLayers } from '../../snapshot/chain.ts';
import { isHeld } from '../../sys/alive.ts';
import type { Store } from '../context.ts';
import type { Finding } from './check.ts';
import { repairLock, UNFINISHED } from './unpack-again.ts';

/** Files that no row knows: blobs, layers, and what a repair has left that was killed. */
export async function strays(store: Store): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const { digest } of store.content.orphans())
    findings.push({
      kind: 'orphan',
      subject: store.content.path(digest),
      message: 'no image and no row of the database knows this blob',
      digest,
    });
  return [...findings, ...strayLayers(store)];
}

function strayLayers({ db }: Store): Finding[] {
  const directory = join(db.root, 'layers');
  // Before the rows: a layer has its row before its directory.
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const known = new Set(listLayers(db).map(({ id }) => String(id)));
  const isRepairing = isHeld(repairLock(db));
  return names.flatMap((name): Finding[] => {
    const subject = join(directory, name);
    if (/^\d+$/.test(name) && !known.has(name))
      return [{ kind: 'orphan', subject, message: 'no row of the database knows this layer' }];
    return name.endsWith(UNFINISHED) && !isRepairing
      ? [{ kind: 'orphan', subject, message: 'a repair that was killed has left this' }]
      : [];
  });
}
