import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import { parseReference, repositoryOf } from '../../../oci/reference.ts';
import type { RetryEvent } from '../../../registry/options.ts';
import { escape } from '../escape.ts';

/** What is said of a request that is tried again. */
export const retrying = ({ delay, reason }: RetryEvent): string =>
  `Retrying in ${Math.ceil(delay / 1000)} s: ${escape(reason)}`;

/** What is said once, whatever the terminal; `undefined`: nothing. */
export function announcement(event: TransferEvent): string | undefined {
  switch (event.type) {
    case 'resolving': {
      const reference = parseReference(event.reference);
      const { domain, path, tag, digest } = reference;
      return `${tag ?? digest ?? 'latest'}: Pulling from ${domain === 'docker.io' ? path : repositoryOf({ domain, path })}`;
    }
    case 'warning':
      return `Warning: ${escape(event.message)}`;
    default:
      return undefined;
  }
}
