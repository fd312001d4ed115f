import { createHash } from 'node:crypto';

/** Bytes that no encoder makes smaller, the same in every run. */
export const noise = (length: number): Buffer =>
  createHash('shake256', { outputLength: length }).update('noise').digest();
