import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { Engine } from '../engine/engine.ts';
import type { ContainerDefaults } from '../oci/config.ts';
import { buildPlace, type BuildPlace, treeOf } from '../testing/build.ts';
import { needs } from '../testing/need.ts';
import * as t from '../testing/tree.ts';

const DOCKERFILE = `ARG V=1
FROM scratch AS base
COPY busybox /bin/busybox
COPY passwd group /etc/
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM base AS build
WORKDIR /w/x
COPY --chown=bob:staff dir ./
RUN echo built > out && chmod 4755 out && mkdir -p /var/empty && ln out hard
FROM base
ARG V
ARG W=w\${V}
LABEL one=1 "two words"="a b" v=$W
ENV A=1 B="x y"
ENV C=$A-\${B:+set} D=\${none:-default}
COPY --from=build /w /w
COPY a dir link /copied/
COPY a /as-file
ADD ar.tar.gz /unpacked/
COPY --chmod=0600 a /etc/secret
COPY d* /glob/
WORKDIR rel
WORKDIR ../rel2
RUN rm /etc/group && mkdir /new && echo $W > /new/w && rm -r /copied/sub
EXPOSE 80 53/udp
VOLUME /data /more
USER bob
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD wget x
ENTRYPOINT ["/bin/echo"]
CMD echo hi
ONBUILD RUN echo x
`;

async function contextOf(place: BuildPlace): Promise<string> {
  const context = await place.context({
    Dockerfile: DOCKERFILE,
    a: 'A',
    'dir/c': 'C',
    'dir/sub/d': 'D',
    passwd: 'root:x:0:0::/root:/bin/sh\nbob:x:7:8::/home:/bin/sh\n',
    group: 'root:x:0:\nstaff:x:50:\n',
  });
  symlinkSync('a', join(context, 'link'));
  const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
  copyFileSync(busybox, join(context, 'busybox'));
  const archive = t.tarOf(
    t.tree({ 'in/f': t.file('F', { uid: 5, mode: 0o640 }), 'in/l': t.link('f') }),
  );
  writeFileSync(join(context, 'ar.tar.gz'), gzipSync(archive));
  return context;
}

/** Without the mount points that buildah leaves, and the content of busybox. */
async function comparable(engine: Engine, name: string): Promise<string[]> {
  const lines = await treeOf(engine, { image: await engine.image(name) });
  return lines
    .filter(
      (line) => !/^\/(?:(?:dev|proc|run|sys)\/|etc\/(?:hostname|hosts|resolv.conf) )/.test(line),
    )
    .map((line) => (line.startsWith('/bin/busybox ') ? line.slice(0, 20) : line));
}

/** Without what is the program's own. */
function configOf(config: ContainerDefaults | undefined): unknown {
  const { Labels = {}, Hostname: _, ...rest } = config ?? {};
  const { 'io.buildah.version': __, ...labels } = Labels;
  const given = Object.entries({ ...rest, Labels: labels }).filter(
    ([, value]) => value !== undefined && value !== '' && value !== false,
  );
  return Object.fromEntries(given);
}

test(
  'buildah makes the same tree and the same config of the same Dockerfile',
  { skip: needs('overlay', 'busybox', 'crun', 'buildah') },
  async () => {
    await using place = await buildPlace('overlay2');
    const context = await contextOf(place);
    await place.builder.build({ context, tags: ['ours'] });
    const own = mkdtempSync(join(tmpdir(), 'mica-buildah-'));
    const archive = join(own, 'theirs.tar');
    const buildah = (...args: string[]): void => {
      const store = [
        '--root',
        join(own, 'root'),
        '--runroot',
        join(own, 'run'),
        '--storage-driver',
        'vfs',
      ];
      execFileSync('buildah', [...store, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
    };
    try {
      buildah(
        'bud',
        '--isolation',
        'chroot',
        '--format',
        'docker',
        '--layers=false',
        '-t',
        'it',
        context,
      );
      buildah('push', 'it', `docker-archive:${archive}:theirs:1`);
      await place.engine.load(archive);
      assert.deepEqual(
        await comparable(place.engine, 'ours'),
        await comparable(place.engine, 'theirs:1'),
      );
      const [ours, theirs] = [
        await place.engine.image('ours'),
        await place.engine.image('theirs:1'),
      ];
      assert.deepEqual(configOf(ours.config.config), configOf(theirs.config.config));
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  },
);

test(
  'podman runs what was built',
  { skip: needs('overlay', 'busybox', 'crun', 'runc', 'podman') },
  async () => {
    await using place = await buildPlace('overlay2');
    const context = await contextOf(place);
    await place.builder.build({ context, tags: ['ours:1'] });
    const own = mkdtempSync(join(tmpdir(), 'mica-podman-'));
    const podman = (...args: string[]): string => {
      const store = [
        '--root',
        join(own, 'root'),
        '--runroot',
        join(own, 'run'),
        '--storage-driver',
        'vfs',
      ];
      return execFileSync('podman', [...store, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    };
    try {
      const archive = join(place.directory, 'ours.tar');
      await place.engine.save(['ours:1'], archive, { format: 'oci-archive' });
      podman('load', '-q', '-i', archive);
      const image = await place.engine.image('ours:1');
      const id = image.id.slice('sha256:'.length);
      assert.equal(podman('images', '-q', '--no-trunc').trim(), image.id);
      assert.equal(
        podman(
          '--runtime',
          'runc',
          'run',
          '--rm',
          '--network',
          'none',
          '--ulimit',
          'nofile=1024:1024',
          '--ulimit',
          'nproc=1024:1024',
          id,
          'hi',
        ),
        'hi\n',
      );
    } finally {
      execFileSync('sh', ['-c', `rm -rf '${own}'`]);
    }
  },
);
