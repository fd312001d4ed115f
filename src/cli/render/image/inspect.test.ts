import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { ImageConfig } from '../../../oci/config.ts';
import { sha256 } from '../../../oci/digest.ts';
import { toJson } from '../../template/json.ts';
import { inspectImage } from './inspect.ts';

type Said = Pick<ImageConfig, 'comment' | 'history'>;

function commentOf(said: Said): unknown {
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } };
  const id = sha256(Buffer.alloc(0));
  const image = { id, references: [], repoDigests: [], size: 0, config: { ...config, ...said } };
  const shown = inspectImage(image as unknown as StoredImage, { Name: 'tar', Data: {} });
  return (JSON.parse(toJson(shown)) as { Comment: unknown }).Comment;
}

const LAST = [
  { created_by: 'a', comment: 'first' },
  { created_by: 'b', comment: 'why' },
];

for (const [what, said, comment] of [
  ['its own', { comment: 'its own', history: LAST }, 'its own'],
  ["its last step's", { history: LAST }, 'why'],
  ["its last step's, where its own is empty", { comment: '', history: LAST }, 'why'],
  ['none', { history: [{ created_by: 'a' }] }, ''],
] as const)
  test(`the comment of an image is ${what}`, () => assert.equal(commentOf(said), comment));
