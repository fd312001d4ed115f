/** What Mica's suites are told of the driver; processes that they kill find it here. */
import type { DriverSuite } from '../../src/testing/index.ts';
import { copies } from './copies.ts';

export const drivers: readonly DriverSuite[] = [
  {
    name: 'copies',
    module: import.meta.url,
    skip: process.getuid?.() === 0 ? false : 'needs root',
    open: copies,
    limits: { tried: { layers: 128, reason: 'three programs are started for each' } },
  },
];
