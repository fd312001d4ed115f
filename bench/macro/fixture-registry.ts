/** Images made here, pulled as any other: the least of a registry, on loopback. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { BlobFixture } from '../../src/testing/image-fixture.ts';

/** @param tags what `NAME:latest` is. @returns `host:port` */
export async function serveImages(
  { blobs }: BlobFixture,
  tags: Readonly<Record<string, Descriptor>>,
): Promise<AsyncDisposable & { readonly host: string }> {
  const types = new Map(Object.values(tags).map(({ digest, mediaType }) => [digest, mediaType]));
  const server = createServer((request, response) => {
    const [, name = '', reference = ''] =
      /^\/v2\/(.+)\/(?:manifests|blobs)\/([^/]+)$/.exec(request.url!) ?? [];
    const digest = (reference === 'latest' ? tags[name]?.digest : reference) as Digest | undefined;
    const bytes = digest && blobs.get(digest);
    if (bytes !== undefined)
      response.writeHead(200, {
        'content-type': types.get(digest!) ?? 'application/octet-stream',
        'content-length': bytes.length,
        'docker-content-digest': digest!,
      });
    else response.writeHead(request.url === '/v2/' ? 200 : 404);
    response.end(request.method === 'HEAD' ? undefined : bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
