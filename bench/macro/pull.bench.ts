/**
 * Question: how long does a cold pull take, from an empty store to a durable, verified image that can be mounted?
 * Baseline: `docker pull` (both stores), `podman pull`, `ctr image pull`; `umoci unpack` without a download; and the limit,
 * `curl BLOB | igzip -dc > file` for one layer after the other, which verifies nothing and shows no tree.
 * Unit: seconds of wall time and CPU, MiB of peak RSS; ratios are medians over rounds against the best puller, and against the
 * limit, of the same round.
 *
 *     sudo bench/macro/enter.sh PEER_ROOT WORK node bench/macro/pull.bench.ts --work WORK --registry 127.0.0.1:5055 \
 *       --images node-app,debian-python --runs 3 [--layout OCI_LAYOUT] [--result FILE] [--no-peers]
 *
 * Every store lies on one fresh ext4 on a loop file; `sync -f` of it is inside everyone's time.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, machine, ratioToBest, shell, type Contender, type Row } from './harness.ts';
import { limitOf } from './limit.ts';
import { startPeers } from './peers.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    registry: { type: 'string', default: '127.0.0.1:5055' },
    images: { type: 'string', default: 'node-app,debian-python,bigblob,many-layers,node-app-zstd' },
    runs: { type: 'string', default: '3' },
    drivers: { type: 'string', default: 'overlay2,tar' },
    layout: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
    result: { type: 'string' },
  },
});
if (values.work === undefined)
  throw new Error('--work DIRECTORY is needed: several GB of free space');
const work = values.work;
const checkout = join(import.meta.dirname, '..', '..');
const [image, stores, logs] = [join(work, 'stores.img'), join(work, 'stores'), join(work, 'log')];
mkdirSync(stores, { recursive: true });
mkdirSync(logs, { recursive: true });
shell(
  `rm -f ${image}; truncate -s 24G ${image}; mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 ${image}; mount -o loop,noatime ${image} ${stores}`,
);

const mica = `${process.execPath} ${join(checkout, 'dist', 'mica.js')}`;
const pullWithMica = (driver: string, reference: string): Contender => ({
  name: `mica pull (${driver})`,
  prepare: `rm -rf ${stores}/mica-${driver}`,
  command: `${mica} --root ${stores}/mica-${driver} --storage-driver ${driver} pull -q ${reference} && sync -f ${stores}`,
});

const results: Record<string, readonly Row[]> = {};
const peers = values['no-peers'] ? undefined : startPeers(stores, logs, values.layout);
try {
  for (const name of values.images.split(',')) {
    const reference = `${values.registry}/${name}:latest`;
    const contenders = [
      ...values.drivers
        .split(',')
        .filter(Boolean)
        .map((driver) => pullWithMica(driver, reference)),
      ...(peers?.pull(reference, name.endsWith('zstd')) ?? []),
      await limitOf(stores, values.registry, name),
    ];
    const rows = alternate(contenders, Number(values.runs), work);
    results[name] = rows;
    const pullers = rows.filter((row) => / pull/.test(row.name) && !row.name.startsWith('mica'));
    const limit = rows.slice(-1);
    console.log(
      `\n### ${name}\n\n| contender | wall s | CPU s | RSS MiB | wall / best peer | wall / limit |\n|---|---|---|---|---|---|`,
    );
    for (const row of rows)
      console.log(
        row.error === undefined
          ? `| ${row.name} | ${row.wall.toFixed(2)} | ${row.cpu.toFixed(2)} | ${row.rss.toFixed(0)} | ${ratioToBest(row, pullers).toFixed(2)} | ${ratioToBest(row, limit).toFixed(2)} |`
          : `| ${row.name} | failed | | | | |`,
      );
  }
} finally {
  const commit = process.env['MICA_BENCH_COMMIT'];
  const versions = peers?.versions;
  peers?.[Symbol.dispose]();
  if (peers === undefined) shell(`umount ${stores}`);
  if (values.result !== undefined)
    writeFileSync(
      values.result,
      `${JSON.stringify({ commit, machine: machine(), versions, results }, null, 1)}\n`,
    );
}
