import { posix } from 'node:path';
import { isStopSignal } from '../../oci/stop-signal.ts';
import { type Place, shown, wrong } from '../dockerfile/failure.ts';
import type { Dockerfile, Form, Instruction } from '../dockerfile/instruction.ts';
import type { StageState } from '../stage-state.ts';
import { Replacer } from '../variables.ts';

/** Instructions that make no layer. */
export type Configuring = Exclude<
  Instruction,
  { kind: 'run' | 'copy' | 'add' | 'workdir' | 'arg' }
>;

/** Applies an instruction to what the image says about its containers. */
export function configure(
  dockerfile: Dockerfile,
  instruction: Configuring,
  state: StageState,
): void {
  const on = {
    state,
    place: { file: dockerfile.file, line: instruction.line },
    replacer: new Replacer(dockerfile, instruction, state.lookup),
  };
  const apply = APPLY[instruction.kind] as Apply<Configuring>;
  state.record(`${instruction.kind.toUpperCase()} ${apply(instruction, on)}`, undefined);
}

interface On {
  readonly state: StageState;
  readonly place: Place;
  readonly replacer: Replacer;
}

/** @returns the instruction's arguments, for the history */
type Apply<One> = (instruction: One, on: On) => string;

const APPLY: {
  readonly [Kind in Configuring['kind']]: Apply<Configuring & { readonly kind: Kind }>;
} = {
  env({ pairs }, { state, replacer, place }) {
    // All see the values of before the instruction.
    const replaced = pairs.map(
      ({ name, value }) => [replacer.word(name), replacer.word(value)] as const,
    );
    if (replaced.some(([name]) => name === ''))
      throw wrong(place, 'the name of a variable is empty');
    state.setEnv(replaced);
    return replaced.map((pair) => pair.join('=')).join(' ');
  },
  label({ pairs }, { state, replacer }) {
    const replaced = pairs.map(({ name, value }) => [replacer.word(name), replacer.word(value)]);
    const { config } = state;
    state.config = {
      ...config,
      Labels: { ...config.Labels, ...(Object.fromEntries(replaced) as Record<string, string>) },
    };
    return replaced.map((pair) => pair.join('=')).join(' ');
  },
  cmd({ form }, { state }) {
    const words = wordsOf(form, state);
    state.config = { ...state.config, Cmd: words };
    state.hasCommand = true;
    return JSON.stringify(words);
  },
  entrypoint({ form }, { state }) {
    const words = wordsOf(form, state);
    // What the base image's command was an argument of is gone.
    const Cmd = state.hasCommand ? state.config.Cmd : undefined;
    state.config = { ...state.config, Entrypoint: words, Cmd };
    return JSON.stringify(words);
  },
  expose({ words }, { state, replacer, place }) {
    const ports = words
      .flatMap((word) => replacer.words(word))
      .flatMap((word) => portsOf(word, place));
    const { config } = state;
    state.config = { ...config, ExposedPorts: { ...config.ExposedPorts, ...keys(ports) } };
    return `[${ports.join(' ')}]`;
  },
  volume({ words }, { state, replacer, place }) {
    const paths = words.map((word) => replacer.word(word));
    if (paths.some((path) => path.trim() === ''))
      throw wrong(place, 'the path of a volume is empty');
    const { config } = state;
    state.config = { ...config, Volumes: { ...config.Volumes, ...keys(paths) } };
    return `[${paths.join(' ')}]`;
  },
  user({ word }, { state, replacer }) {
    const user = replacer.word(word);
    state.config = { ...state.config, User: user };
    return user;
  },
  stopsignal({ word }, { state, replacer, place }) {
    const signal = replacer.word(word);
    if (!isStopSignal(signal))
      throw wrong(place, `${shown(signal)} is not a signal, like SIGTERM or 9`);
    state.config = { ...state.config, StopSignal: signal };
    return signal;
  },
  maintainer({ word }, { state }) {
    state.author = word;
    return word;
  },
  shell({ words }, { state }) {
    state.config = { ...state.config, Shell: words };
    return `[${words.join(' ')}]`;
  },
  healthcheck({ form, health, source }, { state }) {
    const test =
      form === 'none' ? ['NONE'] : form.shell ? ['CMD-SHELL', form.text] : ['CMD', ...form.words];
    const named = {
      Interval: health.interval,
      Timeout: health.timeout,
      StartPeriod: health.startPeriod,
      StartInterval: health.startInterval,
      Retries: health.retries,
    };
    const given = Object.entries(named).filter(([, value]) => value !== undefined);
    state.config = { ...state.config, Healthcheck: { Test: test, ...Object.fromEntries(given) } };
    return source.replace(/^\S+\s*/, '');
  },
  onbuild({ trigger }, { state }) {
    state.config = { ...state.config, OnBuild: [...(state.config.OnBuild ?? []), trigger] };
    return trigger;
  },
};

/** A command as an image has it: for a shell, behind the words that start it. */
const wordsOf = (form: Form, state: StageState): readonly string[] =>
  form.shell ? [...state.shell, form.text] : form.words;

const keys = (names: readonly string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, {}]));

const MAX_PORT = 65_535;

/** `8000-8002/tcp`: three ports. */
function portsOf(text: string, place: Place): string[] {
  const [, from, to = from, protocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === undefined || first > last || last > MAX_PORT)
    throw wrong(place, `${shown(text)} is not a port, like 80 or 53/udp`);
  return Array.from(
    { length: last - first + 1 },
    (_, at) => `${first + at}/${protocol.toLowerCase()}`,
  );
}

/** Where a path of an instruction leads from the working directory. */
export const absolute = (state: StageState, path: string): string =>
  posix.resolve('/', state.workdir, path);
