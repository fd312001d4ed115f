/**
 * Builds what is published:
 *
 *     dist/mica.js            starts the command line: main.cjs, and a chunk for each command
 *     dist/monitor.js         starts the process that watches a container: watch.cjs
 *     dist/*-worker.js        the threads that unpack layers and make blobs, next to the chunks that start them
 *     dist/ended.js           what is executed when nobody waits for a container's end
 *     dist/lib/               the library with its types, a file for each source file
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, type BuildOptions } from 'rolldown';
import { builtins } from './builtins.ts';

const home = join(import.meta.dirname, '..');
const dist = join(home, 'dist');
/** Built beside, and put in its place when it is whole. */
const fresh = join(home, `dist.${process.pid}.tmp`);

/** Nothing here may be slow to load: no network, no kernel binding, no terminal. */
const CORE =
  /node_modules\/(?:commander|valibot)\/|src\/(?:errors|(?:oci|db)\/.*|sys\/(?:errno|byte-string)|engine\/(?:open|context|config|images|version)|cli\/(?:run|program|failure|output|cli|exit-code|verbs|signals|provide-image|settle|small-nursery)|cli\/render\/(?:escape|json|name|quantity))\.ts$/;

/** What is done before anything else is loaded; by itself, since it would be in a chunk with whoever uses it, too. */
const START =
  /src\/(?:cli\/command-words|code\/directory|errors|runtime\/spawn-monitor|sys\/(?:binding|byte-string|children|errno|library|pipe|process|spawn|syscalls|undisturbed))\.ts$/;

/** Opened together: thirty small files would take longer than what they do. Nothing in here may need `tree`, which takes 3 ms. */
const CONTAINER =
  /src\/(?:runtime\/(?!monitor\/)|container\/(?!copy\/|changes)|engine\/containers\/(?!ended|commit|copy|tree)|cli\/commands\/container\/(?:run|create|start|session)\.ts|cli\/parse\/container\/)/;

/** What a pull needs, and mounting what was pulled. */
const PULL =
  /src\/(?:registry\/(?!http\/undici|login|list|push)|engine\/(?:mounts|pull\/pull|publish\/.*|blobs\/(?:policy|settle|drop|layer-blobs|restore))|cli\/commands\/(?:registry\/pull|file\/mount)|cli\/parse\/image-path|cli\/render\/progress\/(?:open|words|conclusions|answer))(?:\.ts|\/)?/;

const COMMON = {
  cwd: home,
  platform: 'node',
  // Native: it finds its binary next to itself.
  external: ['koffi'],
  plugins: [builtins()],
} as const satisfies BuildOptions;
/** What `code/loader.ts` loads: each file is the text of a function. */
const SCRIPT = { ...COMMON, transform: { define: { 'import.meta.url': 'moduleUrl' } } } as const;
const MINIFY = { compress: true, mangle: false } as const;
const AS_SCRIPT = { format: 'cjs', entryFileNames: '[name].cjs', minify: MINIFY } as const;

const { output } = await build({
  input: { main: 'src/cli/main.ts' },
  ...SCRIPT,
  output: {
    dir: fresh,
    ...AS_SCRIPT,
    // Flat: the worker is found beside whatever chunk its starter is in.
    chunkFileNames: 'chunk-[name]-[hash].cjs',
    // Opening fifty files takes longer than reading three. What every command needs is one of them.
    codeSplitting: {
      groups: [
        { name: 'start', test: START, priority: 1 },
        { name: 'core', test: CORE },
        {
          name: 'store',
          test: /src\/(?:(?:sys|snapshot|fs)\/|engine\/(?:store|blobs\/origins)\.ts|content\/(?!archive|recipe|layout|copy|memory)|image\/changes\.ts|io\/(?!inflate|compress|gzip))/,
          minShareCount: 2,
        },
        {
          name: 'tree',
          test: /src\/(?:io|erofs|union|layer|explain|image|content)\//,
          minShareCount: 2,
        },
        // Of two of the following.
        { name: 'net', test: /builtin:node:net$/ },
        { name: 'pull', test: PULL },
        { name: 'container', test: CONTAINER },
      ],
    },
  },
});
/** By itself: it would load the option parser, too, if it shared chunks with the command line. */
const watch = await build({
  input: { watch: 'src/runtime/monitor.ts' },
  ...SCRIPT,
  output: { dir: fresh, ...AS_SCRIPT, codeSplitting: false },
});
const scripts = [...output, ...watch.output];
const checksum = createHash('sha256');
for (const { fileName } of scripts) {
  const text = await readFile(join(fresh, fileName), 'utf8');
  const whole = `(function (exports, require, module, moduleUrl) {${text.replace(/^#!.*\n/, '')}\n})`;
  await writeFile(join(fresh, fileName), whole);
  checksum.update(fileName).update(whole);
}
/** These are modules, a file each: what starts the scripts, and threads, for which the same holds as for the monitor. */
const MODULES = {
  mica: 'src/cli/built.ts',
  monitor: 'src/runtime/built-monitor.ts',
  'unpack-worker': 'src/layer/unpack-worker.ts',
  'recipe-worker': 'src/content/recipe/recipe-worker.ts',
  ended: 'src/engine/containers/ended.ts',
};
const THREADS = ['unpack-worker', 'recipe-worker'];
const inThread = (name: string): string[] => [
  '-e',
  `const { Worker } = require('node:worker_threads');
   const thread = new Worker('./${name}.js');
   thread.on('error', (error) => { throw error; });
   thread.on('online', () => setTimeout(() => process.exit(), 200));`,
];
const files = scripts.map(({ fileName }) => fileName);
for (const [name, input] of Object.entries(MODULES)) {
  const module = await build({
    input: { [name]: input },
    ...COMMON,
    transform: { define: { BUILD: JSON.stringify(checksum.copy().digest('hex').slice(0, 16)) } },
    output: { dir: fresh, format: 'esm', codeSplitting: false, minify: MINIFY },
  });
  files.push(...module.output.map(({ fileName }) => fileName));
}
await chmod(join(fresh, 'mica.js'), 0o755);
// Tests run the sources; these are started by programs that would not hear of it if they could not even be loaded.
const load = (words: readonly string[]): Buffer =>
  execFileSync(process.execPath, words, { cwd: fresh, stdio: ['ignore', 'ignore', 'inherit'] });
for (const words of [['mica.js', '--version'], ['ended.js'], ...THREADS.map(inThread)]) load(words);

const compiler = join(home, 'node_modules', '.bin', 'tsc');
const compiled = spawnSync(
  compiler,
  ['-p', join(home, 'scripts', 'tsconfig.lib.json'), '--outDir', join(fresh, 'lib')],
  {
    stdio: 'inherit',
  },
);
if (compiled.status !== 0) {
  await rm(fresh, { recursive: true });
  process.exit(1);
}
for (const words of [
  ['lib/index.js'],
  ['lib/engine/containers/ended.js'],
  inThread('lib/layer/unpack-worker'),
  inThread('lib/content/recipe/recipe-worker'),
])
  load(words);
await rm(dist, { recursive: true, force: true });
await rename(fresh, dist);

const sizes = await Promise.all(files.map(async (name) => (await stat(join(dist, name))).size));
const total = sizes.reduce((sum, size) => sum + size, 0);
console.log(
  `dist: ${sizes.length} files of the command line, ${Math.round(total / 1024)} KiB; library in dist/lib`,
);
