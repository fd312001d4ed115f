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
      // The addon finds its own way.
      return importer?.includes('/koffi/') ? null : `${PREFIX}${id}`;
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

/** Only functions of them are used at all. */
const LAZY = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:stream/consumers',
  'node:stream/promises',
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
  const names = namesOf(module);
  const functions = names.filter((name) => isFunction(module, name));
  const others = names.filter((name) => !isFunction(module, name));
  return [
    'let module;',
    `const load = () => (module ??= process.getBuiltinModule('${module}'));`,
    ...functions.map((name) => exported(name, `(...values) => load().${name}(...values)`)),
    // Whose use loads the module at once.
    ...others.map((name) => exported(name, `load().${name}`)),
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

/** Not a class. */
const isFunction = (module: string, name: string): boolean =>
  typeof membersOf(module)[name] === 'function' && !/^[A-Z]/.test(name);
