import { createRequire } from 'node:module';
import type { Plugin } from 'rolldown';

/**
 * How the built program imports what comes with Node.
 *
 * `import … from 'node:process'` makes Node read every property of that module, getters that load
 * others among them: 6 ms for `process`, 2 for `util`. And it loads what a command may never need:
 * 5 ms for `crypto`. Here an import reads the properties that are used, and functions of the modules
 * named below load theirs at their first call.
 */
export function builtins(): Plugin {
  return {
    name: 'builtins',
    resolveId(id, importer, { kind }) {
      // What is required stays as it is: CommonJS wants the module itself.
      if (!id.startsWith('node:') || kind === 'require-call') return null;
      // The addon finds its own way, and what the bundler adds comes before anything of ours.
      const isOther = importer?.includes('/koffi/') || importer?.includes('rolldown/runtime');
      return isOther ? null : `${PREFIX}${id}`;
    },
    load(id) {
      if (!id.startsWith(PREFIX)) return null;
      const name = id.slice(PREFIX.length);
      return {
        code: (LAZY.has(name) ? lazily : atOnce)(name),
        moduleSideEffects: false,
      };
    },
  };
}

const PREFIX = '\0builtin:';

/** Of them functions and classes are used, and no class is extended or asked for with `instanceof`. */
const LAZY = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:net',
  'node:stream',
  'node:stream/consumers',
  'node:stream/promises',
  'node:worker_threads',
  'node:zlib',
]);

const require = createRequire(import.meta.url);

const atOnce = (module: string): string =>
  [
    `const module = process.getBuiltinModule('${module}');`,
    'export default module;',
    ...namesOf(module).map((name) => exported(name, `module.${name}`)),
  ].join('\n');

function lazily(module: string): string {
  const functions = namesOf(module).filter((name) => kindOf(module, name) === 'function');
  const classes = namesOf(module).filter((name) => kindOf(module, name) === 'class');
  const others = namesOf(module).filter((name) => kindOf(module, name) === 'value');
  return [
    'let module;',
    `const load = () => (module ??= process.getBuiltinModule('${module}'));`,
    ...functions.map((name) => exported(name, `(...values) => load().${name}(...values)`)),
    ...classes.map((name) => exported(name, lazyClass(name))),
    ...others.map((name) => exported(name, name === 'constants' ? CONSTANTS : `load().${name}`)),
    `export default { ${functions.map((name) => `${name}: $${name}`).join(', ')} };`,
  ].join('\n');
}

/** Names may be words of the language. */
const exported = (name: string, value: string): string =>
  `const $${name} = /* @__PURE__ */ (() => ${value})(); export { $${name} as ${name} };`;

const membersOf = (module: string): Readonly<Record<string, unknown>> =>
  require(module) as Readonly<Record<string, unknown>>;

const namesOf = (module: string): string[] =>
  Object.keys(membersOf(module)).filter(
    (name) => /^[a-z_$][\w$]*$/i.test(name) && name !== 'default',
  );

/** Its first instance, or the first look at one of its own members, loads the module. */
const lazyClass = (name: string): string =>
  `new Proxy(class {}, { construct: (_, values) => Reflect.construct(load().${name}, values), get: (_, key) => load().${name}[key] })`;

/** The other values that are no functions load the module at once where they are used. */
const CONSTANTS = 'new Proxy({}, { get: (_, key) => load().constants[key] })';

function kindOf(module: string, name: string): 'function' | 'class' | 'value' {
  if (typeof membersOf(module)[name] !== 'function') return 'value';
  return /^[A-Z]/.test(name) ? 'class' : 'function';
}
