/** A driver as benchmarks name it: `erofs`, or with an option that is switched on, `erofs+directio`. */
import type { EngineOptions } from '../../src/engine/config.ts';

export function optionsOf(subject: string, root: string): EngineOptions {
  const [driver, ...options] = subject.split('+');
  return { root, driver, driverOptions: options.map((option) => `${driver}.${option}=true`) };
}
