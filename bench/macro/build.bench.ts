/**
 * Question: how long does a build take: one COPY of 5,000 files and two RUN, without a cache, and with all of it cached?
 * Baseline: `buildah build` (with and without `--layers`), `docker build` (the classic builder: BuildKit needs a plugin).
 * Unit: milliseconds of wall time and of CPU (daemons included), medians of alternating runs; ratios are medians over rounds.
 *
 *     npm run build
 *     sudo bench/macro/enter.sh PEER_ROOT WORK "$PWD"/node_modules/node/bin/node bench/macro/build.bench.ts --work WORK \
 *       [--registry 127.0.0.1:5000] [--image debian-python] [--driver overlay2] [--runs 5] [--result FILE]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { enginesIn, freshStores, hideHybrid, startDockerd } from './engines.ts';
import { alternate, type Contender, machine, ratioToBest, shell } from './harness.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    registry: { type: 'string', default: '127.0.0.1:5000' },
    image: { type: 'string', default: 'debian-python' },
    driver: { type: 'string', default: 'overlay2' },
    runs: { type: 'string', default: '5' },
    result: { type: 'string' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY (several GB of room) is needed');
const { work } = values;
const image = `${values.registry}/${values.image}:latest`;
hideHybrid();
using stores = freshStores(work);
const engines = enginesIn(stores.path);
const context = join(stores.path, 'context');

for (let at = 0; at < 5000; at++) {
  const directory = join(context, 'files', `d${at % 50}`);
  if (at < 50) mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `f${at}`), `file ${at} with some text in it\nand more\n`);
}
writeFileSync(
  join(context, 'Dockerfile'),
  `FROM ${image}\nENV A=1\nWORKDIR /w\nCOPY files /w/files\nRUN echo hi > /w/x && ls /usr > /w/list\nRUN echo more > /w/y\nCMD ["true"]\n`,
);

const mica = `${engines.mica} --storage-driver ${values.driver} build -q --network none`;
const docker = `DOCKER_BUILDKIT=0 ${engines.docker} build -q --network none`;
// Limits are otherwise those of a user's session, which not every root may set.
const buildah = `${engines.buildah} build -q --isolation oci --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --pull=never`;

function builds(cached: boolean): Contender[] {
  const flag = cached ? '' : '--no-cache';
  const contender = (name: string, command: string, daemons: string[] = []): Contender => ({
    name,
    daemons,
    // A build of what was built is what is asked about.
    ...(cached && { prepare: `${command} -t built:2 ${context}` }),
    command: `${command} ${flag} -t built:2 ${context}`,
  });
  return [
    contender('mica build', mica),
    contender('docker build', docker, ['dockerd']),
    contender('buildah build --layers', `${buildah} --layers`),
    ...(cached ? [] : [contender('buildah build', buildah)]),
  ];
}

const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);
const results: Record<string, unknown> = {};
const daemon = startDockerd(stores.path, stores.logs);
try {
  shell(
    `${engines.mica} --storage-driver ${values.driver} pull -q ${image} && ${engines.docker} pull -q ${image} && ${engines.podman} pull -q --tls-verify=false ${image}`,
  );
  for (const cached of [false, true]) {
    const rows = alternate(builds(cached), Number(values.runs), work);
    const title = cached ? 'everything cached' : 'no cache';
    results[title] = rows;
    console.log(`\n### build on ${values.image}, ${title}\n`);
    console.log('| contender | wall ms | CPU ms | mica / it |\n|---|---|---|---|');
    for (const row of rows)
      console.log(
        row.error === undefined
          ? `| ${row.name} | ${milliseconds(row.wall)} | ${milliseconds(row.cpu)} | ${row === rows[0] ? '' : ratioToBest(rows[0]!, [row]).toFixed(2)} |`
          : `| ${row.name} | failed | | |`,
      );
  }
} finally {
  daemon.kill('SIGTERM');
  shell('sleep 2');
  if (values.result !== undefined) {
    const facts = { commit: process.env['MICA_BENCH_COMMIT'], machine: machine() };
    writeFileSync(values.result, `${JSON.stringify({ ...facts, results }, null, 1)}\n`);
  }
}
