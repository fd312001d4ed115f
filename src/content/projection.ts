import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../db/database.ts';
import { generation } from '../db/meta.ts';
import { writeAtomic } from '../io/atomic.ts';
import { REF_NAME } from '../oci/annotations.ts';
import type { Digest } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-type.ts';
import { holdWhenFree } from '../sys/alive.ts';
import { errnoOf } from '../sys/errno.ts';

/** Of `index.json`: which state of the references it shows. */
const GENERATION = 'mica.generation';

/**
 * Brings `index.json` up to date. Nobody reads it back: edits by others last until the next change.
 * On a full disk it stays as it was, also where a deletion is to make room; who opens the store next tries again.
 */
export async function project(db: Database, content: string): Promise<void> {
  const path = join(content, 'index.json');
  if (shown(path) === generation(db)) return;
  try {
    await write(db, path);
  } catch (error) {
    if (!FULL.has(errnoOf(error) ?? '')) throw error;
  }
}

const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

async function write(db: Database, path: string): Promise<void> {
  // One at a time, so that an older state never replaces a newer one.
  using _ = await holdWhenFree(join(db.root, 'index.lock'));
  const state = db.transaction(() => ({ at: generation(db), entries: entries(db) }));
  if (shown(path) === state.at) return;
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: state.entries,
    annotations: { [GENERATION]: String(state.at) },
  };
  writeAtomic(path, JSON.stringify(index), { durable: false });
}

interface Entry {
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
}

/**
 * Each reference with the manifest that was pulled for it. Not with the index it may have come
 * from, most of whose platforms are not here: every program can copy each entry whole. Images with
 * dropped layers could not be, and are left out.
 */
function entries(db: Database): object[] {
  const rows = db.all<Entry>(
    `select reference.name, manifest.digest, manifest.media_type as mediaType, blob.size
       from reference
       join manifest on manifest.digest = reference.manifest
       join blob on blob.digest = manifest.digest and blob.state in ('arrived', 'ready')
      where not exists (
        select 1 from json_each(cast(manifest.document as text), '$.layers') as layer
          join dropped on dropped.digest = layer.value ->> '$.digest')
      order by reference.name`,
  );
  return rows.map(({ name, mediaType, digest, size }) => ({
    mediaType,
    digest,
    size,
    annotations: { [REF_NAME]: name },
  }));
}

/** The generation that the file shows; `undefined` when it shows none, as after a power loss. */
function shown(path: string): number | undefined {
  try {
    const { annotations } = JSON.parse(readFileSync(path, 'utf8')) as {
      readonly annotations?: Readonly<Record<string, string>>;
    };
    return Number(annotations?.[GENERATION]);
  } catch {
    return undefined;
  }
}
