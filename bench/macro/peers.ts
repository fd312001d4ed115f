/** The peers' pull commands, each on a store of its own below one directory. */
import { mkdirSync, writeFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { DOCKERD_QUIET, enginesIn, startDockerd } from './engines.ts';
import { shell, startDaemon, type Contender } from './harness.ts';

export interface Peers extends Disposable {
  /** Cold pulls of `reference` (`host:port/name:tag`, plain HTTP). */
  pull(reference: string, zstd: boolean): Contender[];
  readonly versions: Readonly<Record<string, string>>;
}

/** @param stores a directory on the file system that every contender uses */
export function startPeers(stores: string, logs: string, layout: string | undefined): Peers {
  const { docker, podman } = enginesIn(stores);
  const dockerContainerd = `docker -H unix://${stores}/docker2.sock`;
  const ctr = `ctr -a ${stores}/ctrd/c.sock`;
  const daemons: ChildProcess[] = [];

  mkdirSync(`${stores}/ctrd`, { recursive: true });
  writeFileSync(`${stores}/docker2.json`, '{"features":{"containerd-snapshotter":true}}');
  writeFileSync(
    `${stores}/ctrd/config.toml`,
    `version = 2\nroot = "${stores}/ctrd/root"\nstate = "${stores}/ctrd/state"\n` +
      'disabled_plugins = ["io.containerd.grpc.v1.cri","io.containerd.internal.v1.opt","io.containerd.nri.v1.nri"]\n' +
      `[grpc]\naddress = "${stores}/ctrd/c.sock"\n[debug]\nlevel = "error"\n`,
  );
  const daemon = (name: string, command: string, ready: string): void => {
    daemons.push(startDaemon(name, command, ready, `${logs}/${name}.log`));
  };
  daemons.push(startDockerd(stores, logs));
  daemon(
    'dockerd2',
    `dockerd --config-file ${stores}/docker2.json --data-root ${stores}/docker2 --exec-root ${stores}/dexec2 ` +
      `--pidfile ${stores}/docker2.pid --host unix://${stores}/docker2.sock ${DOCKERD_QUIET}`,
    `${dockerContainerd} version`,
  );
  daemon('containerd', `containerd -c ${stores}/ctrd/config.toml`, `${ctr} version`);

  const wipeDocker = (cli: string): string =>
    `for k in 1 2 3 4; do i=$(${cli} images -aq | sort -u); [ -n "$i" ] || break; ${cli} rmi -f $i >/dev/null 2>&1; done; [ -z "$(${cli} images -aq)" ]`;
  const wipeContainerd = `for i in $(${ctr} images ls -q); do ${ctr} images rm --sync $i >/dev/null; done; [ -z "$(${ctr} content ls -q)" ]`;
  const wipePodman =
    `for m in $(awk '$2 ~ "^${stores}/cs"{print $2}' /proc/mounts | sort -r); do umount -l $m; done; ` +
    `rm -rf ${stores}/cs ${stores}/cs-run ${stores}/cs-tmp /var/lib/containers/cache; ${podman} images -q >/dev/null 2>&1`;
  const flush = `sync -f ${stores}`;

  const version = (command: string): string => shell(command).trim().split('\n')[0]!;
  return {
    pull: (reference, zstd) => [
      {
        name: 'docker pull (overlay2)',
        daemons: ['dockerd'],
        prepare: wipeDocker(docker),
        command: `${docker} pull -q ${reference}`,
        flush,
      },
      {
        name: 'docker pull (containerd store)',
        daemons: ['dockerd2'],
        prepare: wipeDocker(dockerContainerd),
        command: `${dockerContainerd} pull -q ${reference}`,
        flush,
      },
      {
        name: 'podman pull',
        prepare: wipePodman,
        command: `${podman} pull -q --tls-verify=false ${reference}`,
        flush,
      },
      {
        name: 'ctr image pull --local',
        daemons: ['containerd'],
        prepare: wipeContainerd,
        command: `${ctr} image pull --local --snapshotter overlayfs --plain-http ${reference}`,
        flush,
      },
      ...(zstd || layout === undefined
        ? []
        : [
            {
              name: 'umoci unpack (no download)',
              prepare: `rm -rf ${stores}/umoci`,
              command: `umoci unpack --image ${layout}:${reference.replace(/^.*\/|:[^:]*$/g, '')} ${stores}/umoci >/dev/null`,
              flush,
            },
          ]),
    ],
    versions: {
      docker: version(`${docker} version -f '{{.Server.Version}}'`),
      containerd: version('containerd --version'),
      podman: version('podman --version'),
      umoci: version('umoci --version'),
    },
    [Symbol.dispose]() {
      for (const child of daemons) child.kill('SIGTERM');
      shell('sleep 2');
    },
  };
}
