import type { RegistryBackend } from './backend/backend.ts';
import { deleteBlob, getBlob } from './blobs.ts';
import { type Exchange, Refusal, sendJson } from './exchange.ts';
import { listRepositories, listTags } from './lists.ts';
import { deleteManifest, getManifest, putManifest } from './manifests.ts';
import {
  appendToUpload,
  cancelUpload,
  completeUpload,
  type PushContext,
  startUpload,
  uploadStatus,
} from './push-blob.ts';
import { listReferrers } from './referrers.ts';
import type { Route } from './router.ts';
import type { Uploads } from './uploads.ts';

type Answer = () => void | Promise<void>;

/** What each endpoint does for each method: the specification's table. */
export async function handle(
  exchange: Exchange,
  route: Route,
  backend: RegistryBackend,
  uploads: Uploads | undefined,
): Promise<void> {
  const reads = readsOf(exchange, route, backend);
  const writes =
    backend.writer && uploads
      ? writesOf(exchange, route, backend, { writer: backend.writer, uploads })
      : undefined;
  const method = exchange.request.method ?? '';
  const answers = { ...reads, ...writes };
  if (Object.hasOwn(answers, method)) return await answers[method]!();
  const why =
    writes === undefined && ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method)
      ? 'this registry is read-only'
      : `${method} is not supported here`;
  throw new Refusal(405, 'UNSUPPORTED', why, { Allow: Object.keys(answers).join(', ') });
}

function readsOf(
  exchange: Exchange,
  route: Route,
  backend: RegistryBackend,
): Record<string, Answer> {
  const get = (answer: Answer): Record<string, Answer> => ({ GET: answer, HEAD: answer });
  switch (route.kind) {
    case 'base':
      return get(() => sendJson(exchange, 200, {}));
    case 'catalog':
      return get(() => listRepositories(exchange, backend));
    case 'tags':
      return get(() => listTags(exchange, backend, route.name));
    case 'manifest':
      return get(() => getManifest(exchange, backend, route.name, route.reference));
    case 'blob':
      return get(() => getBlob(exchange, backend, route.name, route.digest));
    case 'referrers':
      return get(() => listReferrers(exchange, backend, route.name, route.digest));
    default:
      return {};
  }
}

function writesOf(
  exchange: Exchange,
  route: Route,
  backend: RegistryBackend,
  context: PushContext,
): Record<string, Answer> {
  const { writer } = context;
  switch (route.kind) {
    case 'manifest':
      return {
        PUT: () => putManifest(exchange, backend, writer, route.name, route.reference),
        DELETE: () => deleteManifest(exchange, writer, route.name, route.reference),
      };
    case 'blob':
      return { DELETE: () => deleteBlob(exchange, writer, route.name, route.digest) };
    case 'uploads':
      return { POST: () => startUpload(exchange, context, route.name) };
    case 'upload':
      return {
        GET: () => uploadStatus(exchange, context, route.name, route.id),
        PATCH: () => appendToUpload(exchange, context, route.name, route.id),
        PUT: () => completeUpload(exchange, context, route.name, route.id),
        DELETE: () => cancelUpload(exchange, context, route.name, route.id),
      };
    default:
      return {};
  }
}
