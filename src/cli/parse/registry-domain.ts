import { MicaError } from '../../errors.ts';
import { parseReference } from '../../oci/reference.ts';

export const DOCKER_HUB = 'docker.io';

/** What people call a registry when they log in: a host, a URL of one, or Docker Hub's old name. */
export function registryDomain(text: string): string {
  const host = text.replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  try {
    const { domain } = parseReference(`${host}/a`);
    // Without a dot, a colon or a capital it was taken for a part of Docker Hub.
    return domain === DOCKER_HUB && !host.endsWith(DOCKER_HUB) ? bad(text) : domain;
  } catch {
    return bad(text);
  }
}

function bad(text: string): never {
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(text)} is not the host of a registry, such as registry.example.com or localhost:5000`,
  );
}
