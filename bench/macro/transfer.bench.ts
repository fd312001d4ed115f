/**
 * Question: how long do push, a push of what is there already, save and load take, from a store that holds the image?
 * Baseline: `skopeo copy` from an OCI layout and from podman's store, `podman push|save|load`, `buildah push`.
 * Goals: push 0.7 of the best of those that push from a store of their own, a push of what is there 0.3 s, save 1.3 of skopeo.
 * Unit: seconds of wall time and CPU (of the client), MiB of peak RSS; ratios are medians over rounds against the best peer of
 * the same round.
 *
 *     sudo node bench/macro/transfer.bench.ts --work WORK --registry 127.0.0.1:5000 --layout OCI_LAYOUT \
 *       [--images node-app] [--runs 3] [--cases push,no-op,save,load] [--result FILE]
 *
 * Every store, archive and registry lies on one fresh ext4 on a loop file. Pushes go to a registry of their own (Debian's
 * docker-registry), which is emptied before each. Nobody waits for the disk: docker-registry and skopeo do not.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, type Contender, machine, ratioToBest, type Row, shell } from './harness.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    registry: { type: 'string', default: '127.0.0.1:5000' },
    port: { type: 'string', default: '5057' },
    layout: { type: 'string' },
    images: { type: 'string', default: 'node-app' },
    runs: { type: 'string', default: '3' },
    cases: { type: 'string', default: 'push,no-op,save,load' },
    result: { type: 'string' },
  },
});
const { work, layout, registry } = values;
if (work === undefined || layout === undefined)
  throw new Error('--work DIRECTORY (several GB of free space) and --layout are needed');
const checkout = join(import.meta.dirname, '..', '..');
const [image, stores] = [join(work, 'stores.img'), join(work, 'stores')];
mkdirSync(stores, { recursive: true });
shell(
  `rm -f ${image}; truncate -s 24G ${image}; mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 ${image}; mount -o loop,noatime ${image} ${stores}`,
);

const target = `127.0.0.1:${values.port}`;
const mica = (root: string): string =>
  `${process.execPath} ${join(checkout, 'dist', 'mica.js')} --root ${stores}/${root}`;
const storage = `--root ${stores}/cs --runroot ${stores}/cs-run --storage-driver overlay`;
const podman = `podman ${storage} --cgroup-manager cgroupfs --events-backend none`;
const inStorage = `containers-storage:[overlay@${stores}/cs+${stores}/cs-run]`;

/** A registry whose content is thrown away between pushes. */
function startRegistry(): Disposable {
  const config = join(stores, 'registry.json');
  const document = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: `${stores}/registry` } },
    http: { addr: target },
  };
  writeFileSync(config, JSON.stringify(document));
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  shell(`for i in $(seq 100); do curl -sf http://${target}/v2/ && exit; sleep 0.1; done; exit 1`);
  return {
    [Symbol.dispose]: () => {
      child.kill();
    },
  };
}

const EMPTY = `rm -rf ${stores}/registry/docker`;

function pushes(name: string, prepare: (command: string) => string): Contender[] {
  const [from, to] = [`${registry}/${name}:latest`, `${target}/${name}:latest`];
  const commands = {
    'mica push': `${mica('mica')} push -q ${to}`,
    'skopeo copy oci:': `skopeo copy -q --dest-tls-verify=false oci:${layout}:${name} docker://${to}`,
    'skopeo copy containers-storage:': `skopeo copy -q --dest-tls-verify=false '${inStorage}${from}' docker://${to}`,
    'podman push': `${podman} push -q --tls-verify=false ${from} docker://${to}`,
    'buildah push': `buildah ${storage} push -q --tls-verify=false ${from} docker://${to}`,
  };
  return Object.entries(commands).map(([title, command]) => ({
    name: title,
    prepare: prepare(command),
    command,
  }));
}

function saves(name: string): Contender[] {
  const from = `${registry}/${name}:latest`;
  const out = `${stores}/out.tar`;
  const commands = {
    'mica save --format oci-archive': `${mica('mica')} save -q --format oci-archive -o ${out} ${from}`,
    'mica save': `${mica('mica')} save -q -o ${out} ${from}`,
    'skopeo copy oci: oci-archive:': `skopeo copy -q oci:${layout}:${name} oci-archive:${out}`,
    'podman save': `${podman} save -q -o ${out} ${from}`,
  };
  return Object.entries(commands).map(([title, command]) => ({
    name: title,
    prepare: `rm -f ${out}`,
    command,
  }));
}

function loads(name: string): Contender[] {
  const archive = `${stores}/${name}.tar`;
  shell(`${mica('mica')} save -q -o ${archive} ${registry}/${name}:latest`);
  const load = (driver: string): Contender => ({
    name: `mica load (${driver})`,
    prepare: `rm -rf ${stores}/loaded`,
    command: `${mica('loaded')} --storage-driver ${driver} load -q -i ${archive} && sync -f ${stores}`,
  });
  const wiped = `--root ${stores}/cl --runroot ${stores}/cl-run --storage-driver overlay`;
  return [
    load('overlay2'),
    load('tar'),
    {
      name: 'podman load',
      prepare: `rm -rf ${stores}/cl ${stores}/cl-run; podman ${wiped} images -q`,
      command: `podman ${wiped} --events-backend none load -q -i ${archive} && sync -f ${stores}`,
    },
  ];
}

const results: Record<string, readonly Row[]> = {};
try {
  using _ = startRegistry();
  for (const name of values.images.split(',')) {
    const from = `${registry}/${name}:latest`;
    shell(
      `${mica('mica')} --storage-driver overlay2 pull -q ${from} && ${mica('mica')} tag ${from} ${target}/${name}:latest && ${podman} pull -q --tls-verify=false ${from}`,
    );
    const cases: Readonly<Record<string, () => Contender[]>> = {
      push: () => pushes(name, () => EMPTY),
      'no-op': () => pushes(name, (command) => command),
      save: () => saves(name),
      load: () => loads(name),
    };
    for (const title of values.cases.split(',')) {
      const rows = alternate(cases[title]!(), Number(values.runs), work);
      results[`${title} ${name}`] = rows;
      // A layout on disk is no engine's store: nothing is looked up in it, and its blobs are ready to be sent.
      const isPush = title === 'push' || title === 'no-op';
      const peers = rows.filter(
        ({ name: peer }) => !peer.startsWith('mica') && !(isPush && peer.endsWith(' oci:')),
      );
      console.log(
        `\n### ${title} ${name}\n\n| contender | wall s | CPU s | RSS MiB | wall / best peer |\n|---|---|---|---|---|`,
      );
      for (const row of rows)
        console.log(
          row.error === undefined
            ? `| ${row.name} | ${row.wall.toFixed(2)} | ${row.cpu.toFixed(2)} | ${row.rss.toFixed(0)} | ${ratioToBest(row, peers).toFixed(2)} |`
            : `| ${row.name} | failed | | | |`,
        );
    }
  }
} finally {
  shell(
    `for m in $(awk '$2 ~ "^${stores}/"{print $2}' /proc/mounts | sort -r); do umount -l $m; done; sleep 1; umount ${stores}; rm -f ${image}`,
  );
  const commit = process.env['MICA_BENCH_COMMIT'];
  if (values.result !== undefined)
    writeFileSync(
      values.result,
      `${JSON.stringify({ commit, machine: machine(), results }, null, 1)}\n`,
    );
}
