import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import { parseReference, repositoryOf } from '../../../oci/reference.ts';
import { escape } from '../escape.ts';

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
