/** Four small images of real layers, assembled from this machine's own files, pushed to a registry over HTTP. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Repository } from '../src/registry/registry.ts';
import { TarWriter } from '../src/tar/write.ts';

type Digest = `sha256:${string}`;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** What one layer does: a path, and what is there from now on. */
type Change =
  | { readonly path: string; readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly deleted: true };

interface Step {
  readonly createdBy: string;
  readonly changes: readonly Change[];
  readonly compression?: 'gzip' | 'zstd';
}

const CREATED = '2025-01-01T00:00:00Z';
const MTIME = Date.parse(CREATED) / 1000;

const sha256 = (bytes: Uint8Array): Digest =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Names in archives are bytes: one UTF-16 unit per byte of UTF-8. */
const bytesOf = (text: string): string => Buffer.from(text).toString('latin1');

function layerOf(changes: readonly Change[]): Buffer {
  const chunks: Uint8Array[] = [];
  const tar = new TarWriter((chunk) => chunks.push(chunk));
  const common = {
    uid: 0,
    gid: 0,
    mtime: MTIME,
    mtimeNs: 0,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: undefined,
    sparse: undefined,
  };
  const known = new Set<string>(['.']);
  const directory = (path: string): void => {
    if (known.has(path)) return;
    directory(dirname(path));
    known.add(path);
    tar.entry({
      ...common,
      type: 'directory',
      name: bytesOf(path),
      linkName: '',
      mode: 0o755,
      size: 0,
    });
  };
  for (const change of changes) {
    directory(dirname(change.path));
    if ('deleted' in change) {
      const name = `${dirname(change.path)}/.wh.${basename(change.path)}`;
      tar.entry({
        ...common,
        type: 'file',
        name: bytesOf(name),
        linkName: '',
        mode: 0o644,
        size: 0,
      });
    } else if ('link' in change)
      tar.entry({
        ...common,
        type: 'symlink',
        name: bytesOf(change.path),
        linkName: bytesOf(change.link),
        mode: 0o777,
        size: 0,
      });
    else {
      const content = Buffer.from(change.content);
      tar.entry({
        ...common,
        type: 'file',
        name: bytesOf(change.path),
        linkName: '',
        mode: change.mode ?? 0o644,
        size: content.length,
      });
      tar.data(content);
    }
  }
  tar.finish();
  return Buffer.concat(chunks);
}

/** Pushes an image of these steps, base first: blobs, then config, then the manifest under its tag. */
export async function pushImage(
  repository: Repository,
  tag: string,
  steps: readonly Step[],
  cmd: readonly string[],
): Promise<void> {
  const push = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const target: Descriptor = { mediaType, digest: sha256(bytes), size: bytes.length };
    if (!(await repository.has(target)))
      await repository.push(target, async function* (offset: number) {
        yield bytes.subarray(offset);
      });
    return target;
  };
  const layers: Descriptor[] = [];
  const diffIds: Digest[] = [];
  for (const { changes, compression = 'gzip' } of steps) {
    const tar = layerOf(changes);
    diffIds.push(sha256(tar));
    const packed = compression === 'zstd' ? zstdCompressSync(tar) : gzipSync(tar, { level: 1 });
    layers.push(await push(`application/vnd.oci.image.layer.v1.tar+${compression}`, packed));
  }
  const config = await push(
    'application/vnd.oci.image.config.v1+json',
    Buffer.from(
      JSON.stringify({
        created: CREATED,
        architecture:
          { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' }[process.arch as string] ??
          process.arch,
        os: 'linux',
        config: { Env: ['PATH=/usr/local/bin:/usr/bin:/bin'], Cmd: cmd, WorkingDir: '/' },
        rootfs: { type: 'layers', diff_ids: diffIds },
        history: steps.map(({ createdBy }) => ({ created: CREATED, created_by: createdBy })),
      }),
    ),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
  await repository.tag(tag, await push(mediaType, manifest));
}

/** A file of this machine at its own path; a symbolic link stays one, and what it leads to comes along. */
function fromMachine(path: string): Change[] {
  if (!existsSync(path)) return [];
  const at = path.replace(/^\/+/, '');
  if (!lstatSync(path).isSymbolicLink())
    return [{ path: at, content: readFileSync(path), mode: lstatSync(path).mode & 0o7777 }];
  const target = readlinkSync(path);
  return [
    { path: at, link: target },
    ...fromMachine(target.startsWith('/') ? target : `${dirname(path)}/${target}`),
  ];
}

/** The C library, the loader, and what else this Node is linked with. */
function libraries(): Change[] {
  if (process.platform !== 'linux') return [];
  let listing = '';
  try {
    listing = execFileSync('ldd', [process.execPath], { encoding: 'utf8' });
  } catch {
    return [];
  }
  const paths = [...listing.matchAll(/(?:=> )?(\/[^\s]+) \(0x/g)].map(([, path]) => path!);
  const changes = paths.flatMap((path) => fromMachine(path));
  return [...new Map(changes.map((change) => [change.path, change])).values()];
}

export const BASE: Step = {
  createdBy: 'COPY the C library and its loader / # base',
  changes: [
    { path: 'etc/os-release', content: 'NAME="Mica sample"\nID=mica-sample\nVERSION_ID=1\n' },
    { path: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\n' },
    { path: 'tmp/.keep', content: '' },
    ...libraries(),
  ],
};

export const NODE: Step = {
  createdBy: 'COPY node /usr/local/bin/node',
  changes: [{ path: 'usr/local/bin/node', content: readFileSync(process.execPath), mode: 0o755 }],
  compression: 'zstd',
};

export const APP: Step = {
  createdBy: 'COPY app /app',
  changes: [
    {
      path: 'app/index.js',
      content: `console.log(require('./greet.js'), 'I run in', require('fs').readFileSync('/etc/os-release', 'utf8').split('\\n')[0]);\n`,
    },
    { path: 'app/greet.js', content: `module.exports = 'hello from the app, version 1.0;';\n` },
    { path: 'app/secret.key', content: 'this should never have been in the image\n', mode: 0o600 },
    ...Array.from({ length: 20 }, (_, index) => ({
      path: `app/lib/part-${index}.js`,
      content: `module.exports = ${index};\n`,
    })),
  ],
};

export const PATCH: Step = {
  createdBy: 'RUN patch # security: greet.js rewritten, secret.key deleted',
  changes: [
    {
      path: 'app/greet.js',
      content: `module.exports = 'hello from the app, version 1.1, patched;';\n`,
    },
    { path: 'app/secret.key', deleted: true },
  ],
};

/** The figures of the article: three layers of three, three and one file show as six, for file 7 covers file 5. */
export const FIGURES: readonly Step[] = [
  {
    createdBy: 'layer 1: files 1, 2, 3',
    changes: [1, 2, 3].map((file) => ({ path: `file-${file}`, content: `file ${file}\n` })),
  },
  {
    createdBy: 'layer 2: files 4, 5, 6',
    changes: [4, 5, 6].map((file) => ({ path: `file-${file}`, content: `file ${file}\n` })),
  },
  {
    createdBy: 'layer 3: file 7, a new version of file 5',
    changes: [{ path: 'file-5', content: 'file 7, the new version of file 5\n' }],
  },
];
