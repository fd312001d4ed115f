import { closeSync, fdatasyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncDirectory } from '../../sys/sync.ts';
import type { RunRecord } from '../state.ts';

/** One block: what it holds can be written over when there is no room for anything new. */
const ROOM = 4096;

/** What a container goes through: starting, running, exited. */
const RECORDS = 3;

/**
 * Writes `state.json`. Readers see the old or the new record, whole. The room for all records is
 * taken before the container starts, since it may fill the disk, and the last must not be lost.
 */
export interface RecordFile extends Disposable {
  /** @param durable on the disk when this returns */
  write(record: RunRecord, durable: boolean): void;
}

/** @throws RESOURCE_EXHAUSTED when there is no room now */
export function openRecordFile(path: string): RecordFile {
  const spares = Array.from({ length: RECORDS }, (_, at) => makeSpare(`${path}.${at}`));
  return {
    write(record, durable) {
      const spare = spares.shift()!;
      try {
        writeSync(spare.fd, format(record), 0, ROOM, 0);
        if (durable) fdatasyncSync(spare.fd);
      } finally {
        closeSync(spare.fd);
      }
      renameSync(spare.path, path);
      if (durable) syncDirectory(dirname(path));
    },
    [Symbol.dispose]() {
      for (const { fd, path: unused } of spares.splice(0)) {
        closeSync(fd);
        rmSync(unused, { force: true });
      }
    },
  };
}

interface Spare {
  readonly path: string;
  readonly fd: number;
}

function makeSpare(path: string): Spare {
  const fd = openSync(path, 'w', 0o644);
  writeSync(fd, Buffer.alloc(ROOM, ' '));
  return { path, fd };
}

/** Blanks after a JSON text are part of it. */
const format = (record: RunRecord): Buffer => {
  const text = Buffer.alloc(ROOM, ' ');
  text.write(`${JSON.stringify(shortened(record))}\n`);
  return text;
};

/** Runtimes may complain at length. */
const shortened = (record: RunRecord): RunRecord =>
  record.status === 'exited' && record.error !== undefined
    ? { ...record, error: record.error.slice(0, 500) }
    : record;
