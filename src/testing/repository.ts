import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Client, type RegistryUnderTest } from './repository/client.ts';
import { testDiscovery } from './repository/discovery.ts';
import { testErrors } from './repository/errors.ts';
import { testManagement } from './repository/management.ts';
import { testPull } from './repository/pull.ts';
import { testPushBlobs } from './repository/push-blobs.ts';
import { testPushManifests } from './repository/push-manifests.ts';

export type { RegistryUnderTest } from './repository/client.ts';

/**
 * What the specification, or we, ask of a registry and some registries lack. A point that a suite
 * declares lacking runs all the same and must fail: the declaration cannot outlive the fact.
 */
export type Point =
  | 'answers to unsatisfiable ranges'
  | 'single POST'
  | 'chunk order'
  | 'resumption in mid-chunk'
  | 'manifest validation'
  | 'manifest size limit'
  | 'foreign layers'
  | 'sha512 manifests'
  | 'ordered pages of tags'
  | 'referrers API'
  | 'deletion of tags'
  | 'whole repositories'
  | 'checked names'
  | 'checked digests';

export interface RepositorySuite {
  readonly name: string;
  readonly skip?: string | false | undefined;
  /** Why the registry lacks what it lacks. */
  readonly lacks?: Partial<Readonly<Record<Point, string>>> | undefined;
  /** A registry that may be written to. Called once, if a test runs. */
  open(): Promise<RegistryUnderTest & AsyncDisposable>;
}

/** Registers a test. */
export type Check = (title: string, run: (client: Client) => Promise<void>, point?: Point) => void;

/**
 * What a registry must do, by the workflows of the distribution specification. Every test uses
 * repositories of its own.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
 */
export function testRepository(suite: RepositorySuite): void {
  let registry: ReturnType<RepositorySuite['open']> | undefined;
  const check: Check = (title, run, point) => {
    const lacking = point && suite.lacks?.[point];
    const suffix = lacking ? ` (not here: ${lacking})` : '';
    test(title + suffix, { skip: suite.skip ?? false, timeout: 120_000 }, async () => {
      const result = run(new Client(await (registry ??= suite.open())));
      await (lacking ? assert.rejects(result, 'declared as lacking, but it works') : result);
    });
  };
  describe(`registry ${suite.name}`, () => {
    after(async () => (await registry)?.[Symbol.asyncDispose]());
    testPull(check);
    testPushBlobs(check);
    testPushManifests(check);
    testDiscovery(check);
    testManagement(check);
    testErrors(check);
  });
}
