import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MicaError } from '../../errors.ts';
import type { TlsOptions } from '../http/tls.ts';

/** Names under which a host's directory is looked for; colons are not for every file system. */
export const directoryNames = (host: string): string[] => {
  const match = /^(.*):(\d+)$/.exec(host);
  return match ? [`${match[1]}_${match[2]}_`, host] : [host];
};

/**
 * What `<directory>/<host>/` holds in docker's way: `*.crt` are CAs, `x.cert` with `x.key` is who
 * we are.
 */
export async function readCertificates(
  directories: readonly string[],
  host: string,
): Promise<TlsOptions> {
  for (const directory of directories)
    for (const name of directoryNames(host)) {
      const path = join(directory, name);
      const files = await readdir(path).catch(() => []);
      if (files.length > 0)
        return readDirectory(
          path,
          files.sort((a, b) => (a < b ? -1 : 1)),
        );
    }
  return {};
}

async function readDirectory(path: string, files: readonly string[]): Promise<TlsOptions> {
  const read = (name: string): Promise<string> => readPem(join(path, name));
  const ca: string[] = [];
  for (const name of files) if (name.endsWith('.crt')) ca.push(await read(name));
  const cert = files.find((name) => name.endsWith('.cert'));
  if (cert === undefined) return ca.length > 0 ? { ca } : {};
  const key = cert.replace(/cert$/, 'key');
  return {
    ...(ca.length > 0 && { ca }),
    client: { cert: await read(cert), key: await read(key) },
  };
}

export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new MicaError(
      'FAILED_PRECONDITION',
      `certificate ${path} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
}
