/**
 * Question: how long do containers and new layers take, as commands and in the library?
 * Baseline: docker, podman and buildah with the same image, `--network none`, crun (docker: runc).
 * Unit: milliseconds of wall time and of CPU (daemons included), medians of alternating runs; ratios are medians over rounds.
 *
 *     npm run build
 *     sudo bench/macro/enter.sh PEER_ROOT WORK "$PWD"/node_modules/node/bin/node bench/macro/container.bench.ts --work WORK \
 *       [--registry 127.0.0.1:5000] [--image node-app] [--cases run,create,diff,commit,commit-many,library,library-ten,library-many] \
 *       [--driver overlay2] [--runs 7] [--result FILE]
 *
 * Every store lies on one fresh ext4 on a loop file. Commands that take less than a tenth of a second are run five times a sample.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { enginesIn, freshStores, hideHybrid, startDockerd } from './engines.ts';
import { alternate, type Contender, machine, ratioToBest, type Row, shell } from './harness.ts';
import { libraryTimes } from './library.ts';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    registry: { type: 'string', default: '127.0.0.1:5000' },
    image: { type: 'string', default: 'node-app' },
    cases: {
      type: 'string',
      default: 'run,create,diff,commit,commit-many,library,library-ten,library-many',
    },
    driver: { type: 'string', default: 'overlay2' },
    runs: { type: 'string', default: '7' },
    result: { type: 'string' },
  },
});
if (values.work === undefined) throw new Error('--work DIRECTORY (several GB of room) is needed');
const { work } = values;
const image = `${values.registry}/${values.image}:latest`;
hideHybrid();
using stores = freshStores(work);
const engines = enginesIn(stores.path);
const mica = `${engines.mica} --storage-driver ${values.driver}`;
const { docker, podman, buildah } = engines;

/** A container's limits are otherwise those of a user's session, which not every root may set. */
const PODMAN =
  '--network none --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024';
const five = (command: string): Pick<Contender, 'command' | 'operations'> => ({
  command: `for i in 1 2 3 4 5; do ${command} > /dev/null || exit; done`,
  operations: 5,
});

/** Ten changes, one file, or many: as a shell in the container makes them. */
const CHANGES = {
  ten: 'for i in 1 2 3 4 5 6 7 8; do echo $i > /etc/new$i; done; rm -f /usr/bin/dpkg; echo changed >> /etc/debian_version',
  one: 'echo changed >> /etc/debian_version',
  many: `mkdir /srv/new; i=0; while [ $i -lt 5000 ]; do d=/srv/new/d$((i % 50)); [ -d $d ] || mkdir $d; printf "file %d with some text in it\\nand more\\n" $i > $d/f$i; i=$((i + 1)); done`,
} as const;
type Change = keyof typeof CHANGES;

/** A container named `kk` in which something was changed. */
const changed = (change: Change): Record<'mica' | 'docker' | 'podman' | 'buildah', string> => {
  const inside = `${image} sh -c '${CHANGES[change]}'`;
  const again = (engine: string): string =>
    `${engine} rm -f kk > /dev/null 2>&1; ${engine} rmi -f new:1 > /dev/null 2>&1; set -e; `;
  return {
    mica: `${again(mica)} ${mica} run --name kk ${inside}`,
    docker: `${again(docker)} ${docker} run --name kk --network none ${inside}`,
    podman: `${again(podman)} ${podman} --runtime crun run --name kk ${PODMAN} ${inside}`,
    buildah:
      `${buildah} rm kb > /dev/null 2>&1; ${podman} rmi -f new:1 > /dev/null 2>&1; set -e; ` +
      `${buildah} from --pull-never --name kb ${image} > /dev/null; chroot $(${buildah} mount kb) sh -c '${CHANGES[change]}'`,
  };
};
const DOCKERD = { daemons: ['dockerd'] };

function runs(): Contender[] {
  return [
    { name: 'mica run --rm', ...five(`${mica} run --rm ${image} true`) },
    {
      name: 'podman run --rm (crun)',
      ...five(`${podman} --runtime crun run --rm ${PODMAN} ${image} true`),
    },
    {
      name: 'docker run --rm',
      ...DOCKERD,
      ...five(`${docker} run --rm --network none ${image} true`),
    },
  ];
}

function creates(): Contender[] {
  const gone = (engine: string): string =>
    `${engine} rm -f $(${engine} ps -aq) > /dev/null 2>&1 || :`;
  return [
    { name: 'mica create', prepare: gone(mica), ...five(`${mica} create ${image} true`) },
    {
      name: 'podman create',
      prepare: gone(podman),
      ...five(`${podman} create ${PODMAN} ${image} true`),
    },
    {
      name: 'docker create',
      ...DOCKERD,
      prepare: gone(docker),
      ...five(`${docker} create --network none ${image} true`),
    },
  ];
}

function diffs(): Contender[] {
  const prepare = changed('ten');
  return [
    { name: 'mica diff', prepare: prepare.mica, command: `${mica} diff kk` },
    { name: 'podman diff', prepare: prepare.podman, command: `${podman} diff kk` },
    { name: 'docker diff', ...DOCKERD, prepare: prepare.docker, command: `${docker} diff kk` },
  ];
}

function commits(change: Change): Contender[] {
  const prepare = changed(change);
  const commit = (engine: string): string => `${engine} commit --pause=false kk new:1`;
  return [
    { name: 'mica commit', prepare: prepare.mica, command: `${mica} commit --no-pause kk new:1` },
    { name: 'docker commit', ...DOCKERD, prepare: prepare.docker, command: commit(docker) },
    { name: 'podman commit', prepare: prepare.podman, command: commit(podman) },
    { name: 'buildah commit', prepare: prepare.buildah, command: `${buildah} commit -q kb new:1` },
  ];
}

const CASES: Readonly<Record<string, () => Contender[]>> = {
  run: runs,
  create: creates,
  diff: diffs,
  commit: () => commits('one'),
  'commit-many': () => commits('many'),
};

/** Changed files. */
const LIBRARY: Readonly<Record<string, number>> = {
  library: 1,
  'library-ten': 10,
  'library-many': 5000,
};

const milliseconds = (seconds: number): string => (seconds * 1000).toFixed(0);

function table(title: string, rows: readonly Row[]): string {
  const [own, ...peers] = rows;
  const line = (row: Row): string => {
    const ratio = row === own ? '' : ratioToBest(own!, [row]).toFixed(2);
    return row.error === undefined
      ? `| ${row.name} | ${milliseconds(row.wall)} | ${milliseconds(row.cpu)} | ${ratio} |`
      : `| ${row.name} | failed | | |`;
  };
  return [
    `\n### ${title} ${values.image}\n`,
    '| contender | wall ms | CPU ms | mica / it |',
    '|---|---|---|---|',
    ...[own!, ...peers].map(line),
  ].join('\n');
}

const results: Record<string, unknown> = {};
const daemon = startDockerd(stores.path, stores.logs);
try {
  shell(
    `${mica} pull -q ${image} && ${docker} pull -q ${image} && ${podman} pull -q --tls-verify=false ${image}`,
  );
  for (const title of values.cases.split(',')) {
    const contenders = CASES[title]?.();
    if (contenders === undefined) {
      const files = LIBRARY[title];
      if (files === undefined) throw new Error(`there is no case ${title}`);
      const times = await libraryTimes(
        { root: `${stores.path}/mica`, driver: values.driver },
        { image, files, runs: Number(values.runs) },
      );
      console.log(`\n### in the library, ${files} changed files, ${values.image}\n`);
      console.log('| case | wall ms | CPU ms |\n|---|---|---|');
      for (const [what, { wall, cpu }] of Object.entries(times))
        console.log(`| ${what} | ${wall.toFixed(1)} | ${cpu.toFixed(1)} |`);
      results[title] = times;
      continue;
    }
    const rows = alternate(contenders, Number(values.runs), work);
    results[title] = rows;
    console.log(table(title, rows));
  }
} finally {
  shell(
    `${mica} rm -f $(${mica} ps -aq) > /dev/null 2>&1; ${podman} rm -af > /dev/null 2>&1; ${docker} rm -f kk > /dev/null 2>&1 || :`,
  );
  daemon.kill('SIGTERM');
  shell('sleep 2');
  if (values.result !== undefined) {
    const facts = { commit: process.env['MICA_BENCH_COMMIT'], machine: machine() };
    writeFileSync(values.result, `${JSON.stringify({ ...facts, results }, null, 1)}\n`);
  }
}
