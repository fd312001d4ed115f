import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Digest, sha256 } from '../../oci/digest.ts';
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-type.ts';
import type { Check } from '../repository.ts';
import { type Client, codesOf, index, jsonOf, type Reply } from './client.ts';

/** Content discovery: tags, repositories, referrers. */
export function testDiscovery(check: Check): void {
  check(
    'tags are listed in lexical order, whatever their case',
    async (client) => {
      const name = client.repository();
      await tagAll(client, name, ['v10', 'b', 'v2', 'C', 'a', 'A', '1.0', 'x_y', 'x-y', 'Z', 'q']);
      const reply = await client.send('GET', `/v2/${name}/tags/list`);
      assert.equal(reply.status, 200);
      const tags = ['1.0', 'A', 'a', 'b', 'C', 'q', 'v10', 'v2', 'x-y', 'x_y', 'Z'];
      assert.deepEqual(jsonOf(reply), { name, tags });
    },
    'ordered pages of tags',
  );

  check(
    'pages of tags, by n and last or by Link, give every tag once',
    async (client) => {
      const name = client.repository();
      await tagAll(client, name, ['a', 'b', 'c', 'd', 'e']);
      const page = async (query: string): Promise<Reply> =>
        await client.send('GET', `/v2/${name}/tags/list?${query}`);
      const tagsOf = (reply: Reply): string[] => (jsonOf(reply) as { tags: string[] }).tags;
      assert.deepEqual(tagsOf(await page('n=2')), ['a', 'b']);
      assert.deepEqual(tagsOf(await page('n=2&last=b')), ['c', 'd']);
      assert.deepEqual(tagsOf(await page('last=c')), ['d', 'e']);
      assert.deepEqual(await follow(client, `/v2/${name}/tags/list?n=2`, tagsOf), [
        ['a', 'b'],
        ['c', 'd'],
        ['e'],
      ]);
    },
    'ordered pages of tags',
  );

  check(
    'a page of no tags is empty and has no Link',
    async (client) => {
      const name = client.repository();
      await tagAll(client, name, ['a', 'b']);
      const reply = await client.send('GET', `/v2/${name}/tags/list?n=0`);
      assert.deepEqual([reply.status, jsonOf(reply)], [200, { name, tags: [] }]);
      assert.equal(reply.headers.link, undefined);
    },
    'ordered pages of tags',
  );

  check('tags of a repository that is not there are 404 NAME_UNKNOWN', async (client) => {
    const reply = await client.send('GET', `/v2/${client.repository()}/tags/list`);
    assert.equal(reply.status, 404);
    assert.deepEqual(codesOf(reply), ['NAME_UNKNOWN']);
  });

  check('repositories are listed, page by page', async (client) => {
    const names = [client.repository(), client.repository(), client.repository()].sort();
    for (const name of names) await tagAll(client, name, ['a']);
    const pages = await follow(
      client,
      '/v2/_catalog?n=1',
      (reply) => (jsonOf(reply) as { repositories: string[] }).repositories,
    );
    assert.ok(pages.every((page) => page.length <= 1));
    const found = pages.flat().filter((name) => names.includes(name));
    assert.deepEqual(found, names);
  });

  const referrers = (title: string, run: (client: Client) => Promise<void>): void =>
    check(title, run, 'referrers API');

  referrers('referrers are told with type and annotations', async (client) => {
    const name = client.repository();
    const subject = await client.pushManifest(name, await client.image(name), 'v1');
    const annotations = { 'org.example.key': 'value' };
    const more = { subject: subject.descriptor, annotations };
    const typed = await client.pushManifest(name, await artifact(client, name, 'x/sbom', more));
    const untyped = await client.pushManifest(name, await artifact(client, name, undefined, more));
    const bare = await client.pushManifest(name, index([], { subject: subject.descriptor }));

    const reply = await listReferrers(client, name, subject.descriptor.digest);
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['content-type'], OCI_INDEX);
    const { schemaVersion, mediaType, manifests } = jsonOf(reply) as {
      schemaVersion: number;
      mediaType: string;
      manifests: { digest: string }[];
    };
    assert.deepEqual([schemaVersion, mediaType], [2, OCI_INDEX]);
    const byDigest = (a: { digest: string }, b: { digest: string }): number =>
      a.digest < b.digest ? -1 : 1;
    assert.deepEqual(
      manifests.sort(byDigest),
      [
        { ...typed.descriptor, artifactType: 'x/sbom', annotations },
        { ...untyped.descriptor, artifactType: OCI_EMPTY, annotations },
        bare.descriptor,
      ].sort(byDigest),
    );
  });

  referrers('referrers of one type are filtered, and the filter is named', async (client) => {
    const name = client.repository();
    const subject = await client.pushManifest(name, await client.image(name), 'v1');
    const more = { subject: subject.descriptor };
    const wanted = await client.pushManifest(
      name,
      await artifact(client, name, 'x/one+json', more),
    );
    await client.pushManifest(name, await artifact(client, name, 'x/two', more));
    const reply = await listReferrers(client, name, subject.descriptor.digest, 'x/one+json');
    assert.deepEqual(digestsOf(reply), [wanted.descriptor.digest]);
    assert.equal(reply.headers['oci-filters-applied'], 'artifactType');
  });

  referrers('a referrer may come before its subject', async (client) => {
    const name = client.repository();
    const subject = { mediaType: OCI_MANIFEST, digest: sha256(randomBytes(8)), size: 123 };
    const pushed = await client.pushManifest(
      name,
      await artifact(client, name, 'x/y', { subject }),
    );
    assert.equal(pushed.reply.headers['oci-subject'], subject.digest);
    assert.deepEqual(digestsOf(await listReferrers(client, name, subject.digest)), [
      pushed.descriptor.digest,
    ]);
  });

  referrers('no referrers are an empty index, not an error', async (client) => {
    for (const name of [client.repository(), client.repository()]) {
      const reply = await listReferrers(client, name, sha256(randomBytes(8)));
      assert.deepEqual([reply.status, digestsOf(reply)], [200, []]);
    }
  });

  referrers('referrers of what is no digest are 400', async (client) => {
    const name = client.repository();
    const reply = await listReferrers(client, name, 'sha256:nonsense');
    assert.equal(reply.status, 400);
  });

  referrers('a deleted referrer leaves the list', async (client) => {
    const name = client.repository();
    const subject = await client.pushManifest(name, await client.image(name), 'v1');
    const more = { subject: subject.descriptor };
    const { descriptor } = await client.pushManifest(
      name,
      await artifact(client, name, 'x/y', more),
    );
    const path = `/v2/${name}/manifests/${descriptor.digest}`;
    assert.equal((await client.send('DELETE', path)).status, 202);
    assert.deepEqual(digestsOf(await listReferrers(client, name, subject.descriptor.digest)), []);
  });
}

async function tagAll(client: Client, name: string, tags: readonly string[]): Promise<void> {
  const image = await client.image(name);
  for (const tag of tags) await client.pushManifest(name, image, tag);
}

/** An artifact without config and with one small blob. */
async function artifact(
  client: Client,
  name: string,
  artifactType: string | undefined,
  more: object,
): Promise<{ mediaType: string }> {
  const config = await client.pushBlob(name, Buffer.from('{}'), OCI_EMPTY);
  const layer = await client.pushBlob(name);
  return Object.assign(
    { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType },
    { config: config.descriptor, layers: [layer.descriptor] },
    more,
  );
}

const listReferrers = (
  client: Client,
  name: string,
  digest: Digest,
  artifactType?: string,
): Promise<Reply> => {
  const query = new URLSearchParams(artifactType === undefined ? {} : { artifactType }).toString();
  return client.send('GET', `/v2/${name}/referrers/${digest}?${query}`);
};

const digestsOf = (reply: Reply): string[] =>
  (jsonOf(reply) as { manifests: { digest: string }[] }).manifests.map(({ digest }) => digest);

/** The pages from `path` on, by their `Link` headers. */
async function follow(
  client: Client,
  path: string,
  entriesOf: (reply: Reply) => string[],
): Promise<string[][]> {
  const pages: string[][] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const reply = await client.send('GET', next);
    assert.equal(reply.status, 200);
    pages.push(entriesOf(reply));
    next = /^<([^>]+)>; ?rel="?next"?$/.exec(String(reply.headers.link ?? ''))?.[1];
    assert.ok(pages.length < 1000, 'the pages do not end');
  }
  return pages;
}
