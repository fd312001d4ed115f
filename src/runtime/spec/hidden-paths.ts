import { existsSync, readdirSync } from 'node:fs';

/** What tells about, or acts on, the machine rather than the container: Docker's lists of 2025. */
const MASKED: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

export const READONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];

const PROCESSORS = '/sys/devices/system/cpu';

/** Paths of which a container sees nothing; the temperature of processors, a side channel, among them. */
export function maskedPaths(): string[] {
  const throttles = existsSync(`${PROCESSORS}/cpu0/thermal_throttle`)
    ? readdirSync(PROCESSORS)
        .filter((name) => /^cpu\d+$/.test(name))
        .map((name) => `${PROCESSORS}/${name}/thermal_throttle`)
    : [];
  return [...MASKED, ...throttles];
}
