/**
 * Question: how long does a cold pull take, from an empty store to a durable, verified tree that is mounted?
 * Baseline: `docker pull` (both stores), `podman pull`, `ctr image pull`; `umoci unpack` without a download; and the limit,
 * `curl BLOB | igzip -dc > file` for one layer after the other, which verifies nothing and shows no tree.
 * Unit: seconds of wall time and CPU, MiB of peak RSS; ratios are medians over rounds against the best puller, and against the
 * limit, of the same round.
 *
 *     sudo bench/macro/enter.sh PEER_ROOT WORK node bench/macro/pull.bench.ts --work WORK --registry 127.0.0.1:5000 \
 *       --images node-app,debian-python --runs 3 [--drivers erofs,erofs+zlib,overlay2,tar] [--layout OCI_LAYOUT] [--result FILE.json] [--no-peers]
 *
 * Every store lies on one fresh ext4 on a loop file; `sync -f` of it is inside everyone's time. Mica pulls by mounting (but
 * for the driver tar). `+zlib`: with ISA-L's library hidden. FILE.json gets every sample, FILE.md the tables.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { alternate, machine, type Row, shell } from './harness.ts';
import { limitOf } from './limit.ts';
import { emptyStore, micaPull } from './mica.ts';
import { startPeers } from './peers.ts';
import { pullTable, report } from './pull-report.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    registry: { type: 'string', default: '127.0.0.1:5000' },
    images: { type: 'string', default: 'node-app,debian-python,bigblob,many-layers,node-app-zstd' },
    runs: { type: 'string', default: '3' },
    drivers: { type: 'string', default: 'erofs,erofs+zlib,overlay2,tar' },
    layout: { type: 'string' },
    'no-peers': { type: 'boolean', default: false },
    result: { type: 'string' },
  },
});
if (values.work === undefined)
  throw new Error('--work DIRECTORY is needed: several GB of free space');
const work = values.work;
const [image, stores, logs] = [join(work, 'stores.img'), join(work, 'stores'), join(work, 'log')];
mkdirSync(stores, { recursive: true });
mkdirSync(logs, { recursive: true });
shell(
  `rm -f ${image}; truncate -s 24G ${image}; mkfs.ext4 -q -F -E lazy_itable_init=1,lazy_journal_init=1 ${image}; mount -o loop,noatime ${image} ${stores}`,
);

const drivers = values.drivers.split(',').filter(Boolean);
/** zstd has no other inflater to leave out. */
const driversFor = (zstd: boolean): string[] =>
  drivers.filter((driver) => !zstd || !driver.endsWith('+zlib'));

const results: Record<string, readonly Row[]> = {};
const peers = values['no-peers'] ? undefined : startPeers(stores, logs, values.layout);
try {
  for (const name of values.images.split(',')) {
    const reference = `${values.registry}/${name}:latest`;
    const zstd = name.endsWith('zstd');
    const contenders = [
      ...driversFor(zstd).map((driver) => micaPull(driver, stores, reference)),
      ...(peers?.pull(reference, zstd) ?? []),
      await limitOf(stores, values.registry, name),
    ];
    results[name] = alternate(contenders, Number(values.runs), work);
    console.log(pullTable(name, results[name]));
  }
} finally {
  const facts = {
    commit: process.env['MICA_BENCH_COMMIT'],
    runs: Number(values.runs),
    machine: machine(),
    versions: peers?.versions,
  };
  peers?.[Symbol.dispose]();
  for (const driver of drivers) shell(emptyStore(driver, stores));
  if (peers === undefined) shell(`umount ${stores}`);
  shell(`rm ${image}`);
  if (values.result !== undefined) {
    writeFileSync(values.result, `${JSON.stringify({ ...facts, results }, null, 1)}\n`);
    writeFileSync(values.result.replace(/(\.json)?$/, '.md'), report(facts, results));
  }
}
