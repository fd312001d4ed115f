import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';

/**
 * Identifies this boot of the machine. What was written since survives whatever dies but the
 * machine itself, synced or not.
 */
export function bootId(): string {
  known ??= process.platform === 'linux' ? linuxBootId() : bootMinute();
  return known;
}

let known: string | undefined;

const linuxBootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

/** A corrected clock may change it: then something unfinished is fetched again, and nothing worse happens. */
const bootMinute = (): string => `minute-${Math.round((Date.now() / 1000 - uptime()) / 60)}`;
