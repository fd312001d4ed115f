import { AT_FDCWD, close, O_RDONLY, openat } from '../../../sys/at.ts';
import { toBytes } from '../../../sys/byte-string.ts';
import { readMountinfo } from '../../../sys/mountinfo.ts';
import type { ActiveVolume } from './volumes.ts';

/**
 * Devices that this process is about to mount: open, so that nobody else finds them unused and takes
 * them away before. Once it is mounted a device is kept by that.
 */
export class HeldDevices implements Disposable {
  readonly #held = new Map<string, { readonly fd: number; readonly number: string }>();

  /** @param id - of the layer */
  hold(id: string, { node, number }: ActiveVolume): void {
    if (this.#held.get(id)?.number === number) return;
    this.close(id);
    this.#held.set(id, { fd: openat(AT_FDCWD, toBytes(node), O_RDONLY), number });
  }

  close(id: string): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    this.#held.delete(id);
    close(held.fd);
  }

  closeMounted(): void {
    if (this.#held.size === 0) return;
    const mounted = new Set(readMountinfo().map(({ device }) => device));
    for (const [id, { number }] of this.#held) if (mounted.has(number)) this.close(id);
  }

  [Symbol.dispose](): void {
    for (const id of this.#held.keys()) this.close(id);
  }
}
