import { closeSync, fdatasyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeAtomic } from '../../io/atomic.ts';
import { syncDirectory } from '../../sys/sync.ts';
import type { RunRecord } from '../state.ts';

/** One block: what it holds can be written over when there is no room for anything new. */
const ROOM = 4096;

/**
 * Writes `state.json`. Readers see the old or the new record, whole. The room for the last one,
 * which must not be lost, is taken before the container starts: it may fill the disk.
 */
export interface RecordFile {
  /** @param durable on the disk when this returns */
  write(record: RunRecord, durable: boolean): void;
  /** Like `write`, using the room that was kept. */
  writeLast(record: RunRecord, durable: boolean): void;
}

export function openRecordFile(path: string): RecordFile {
  const spare = `${path}.next`;
  const fd = openSync(spare, 'w', 0o644);
  writeSync(fd, Buffer.alloc(ROOM, ' '));
  return {
    write(record, durable) {
      writeAtomic(path, format(record), { durable });
    },
    writeLast(record, durable) {
      // Blanks after a JSON text are part of it.
      const text = Buffer.from(format(record).padEnd(ROOM, ' '));
      try {
        writeSync(fd, text, 0, text.length, 0);
        if (durable) fdatasyncSync(fd);
        renameSync(spare, path);
        if (durable) syncDirectory(dirname(path));
      } finally {
        closeSync(fd);
        rmSync(spare, { force: true });
      }
    },
  };
}

const format = (record: RunRecord): string => `${JSON.stringify(record)}\n`;
