/** What no pull can beat by much: every layer downloaded and inflated to a file, nothing verified, nothing unpacked. */
import type { Contender } from './harness.ts';

const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

interface Manifest {
  readonly layers: readonly { readonly mediaType: string; readonly digest: string }[];
}

/** @param stores a directory on the file system that every contender uses */
export async function limitOf(
  stores: string,
  registry: string,
  image: string,
): Promise<Contender & { readonly name: 'curl | igzip > file' | 'curl | zstd > file' }> {
  const url = `http://${registry}/v2/${image}`;
  const response = await fetch(`${url}/manifests/latest`, { headers: { accept: MANIFESTS } });
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  const { layers } = (await response.json()) as Manifest;
  const isZstd = layers.every(({ mediaType }) => mediaType.endsWith('zstd'));
  const inflate = isZstd ? 'zstd -dcq' : 'igzip -dc';
  const directory = `${stores}/limit`;
  const fetches = layers.map(
    ({ digest }, at) => `curl -fs ${url}/blobs/${digest} | ${inflate} > ${directory}/${at}.tar`,
  );
  return {
    name: isZstd ? 'curl | zstd > file' : 'curl | igzip > file',
    prepare: `rm -rf ${directory}; mkdir ${directory}`,
    command: ['set -o pipefail', ...fetches].join(' && '),
    flush: `sync -f ${stores}`,
  };
}
