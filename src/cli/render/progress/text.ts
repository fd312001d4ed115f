import type { PullEvent, PullResult } from '../../../engine/engine.ts';
import { parseReference, repositoryOf, familiar } from '../../../oci/reference.ts';
import { escape } from '../escape.ts';
import { shortName } from '../name.ts';

/** What is said once, whatever the terminal; `undefined`: nothing. */
export function announcement(event: PullEvent): string | undefined {
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

/** docker's last three lines. */
export function conclusion({ reference, target, upToDate }: PullResult): string[] {
  const name = shortName(reference);
  return [
    `Digest: ${target.digest}`,
    `Status: ${upToDate ? 'Image is up to date for' : 'Downloaded newer image for'} ${name}`,
    familiar(parseReference(reference)) === reference ? name : reference,
  ];
}
