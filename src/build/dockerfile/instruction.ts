import type { Heredoc } from './heredoc.ts';

/** What every instruction has. Variables in its words are not replaced yet. */
export interface Located {
  /** Of its first line, from 1. */
  readonly line: number;
  /** As it was written, on one line, without its heredocs. */
  readonly source: string;
}

/** A command in JSON form, or as one line for a shell. */
export type Form =
  | { readonly shell: false; readonly words: readonly string[] }
  | { readonly shell: true; readonly text: string };

export interface Pair {
  readonly name: string;
  readonly value: string;
}

export interface Arg extends Located {
  readonly kind: 'arg';
  readonly args: readonly { readonly name: string; readonly value: string | undefined }[];
}

export interface Copy extends Located {
  readonly kind: 'copy' | 'add';
  /** Without those that are heredocs. */
  readonly sources: readonly string[];
  /** Files that stand in the Dockerfile, by name. */
  readonly heredocs: readonly Heredoc[];
  readonly target: string;
  readonly from: string | undefined;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** Of ADD. */
  readonly checksum: string | undefined;
  /** Of ADD: whether archives are unpacked; default: those that do not come from afar. */
  readonly unpack: boolean | undefined;
}

export interface Run extends Located {
  readonly kind: 'run';
  readonly form: Form;
  readonly heredocs: readonly Heredoc[];
  /** As they were written: `type=cache,target=/x`. */
  readonly mounts: readonly string[];
  readonly network: string | undefined;
}

/** Seconds and nanoseconds as Docker has them: nanoseconds. */
export interface Health {
  readonly test: readonly string[];
  readonly interval: number | undefined;
  readonly timeout: number | undefined;
  readonly startPeriod: number | undefined;
  readonly startInterval: number | undefined;
  readonly retries: number | undefined;
}

export type Instruction =
  | Arg
  | Copy
  | Run
  | (Located & { readonly kind: 'env'; readonly pairs: readonly Pair[] })
  | (Located & { readonly kind: 'label'; readonly pairs: readonly Pair[] })
  | (Located & { readonly kind: 'cmd'; readonly form: Form })
  | (Located & { readonly kind: 'entrypoint'; readonly form: Form })
  | (Located & { readonly kind: 'expose'; readonly words: readonly string[] })
  | (Located & { readonly kind: 'volume'; readonly words: readonly string[] })
  | (Located & { readonly kind: 'user'; readonly word: string })
  | (Located & { readonly kind: 'stopsignal'; readonly word: string })
  | (Located & { readonly kind: 'maintainer'; readonly word: string })
  | (Located & { readonly kind: 'workdir'; readonly word: string })
  | (Located & { readonly kind: 'shell'; readonly words: readonly string[] })
  | (Located & {
      readonly kind: 'healthcheck';
      readonly form: Form | 'none';
      readonly health: Omit<Health, 'test'>;
    })
  | (Located & { readonly kind: 'onbuild'; readonly trigger: string });

export interface From extends Located {
  readonly image: string;
  readonly platform: string | undefined;
}

export interface Stage {
  readonly index: number;
  /** In lower case. */
  readonly name: string | undefined;
  readonly from: From;
  readonly instructions: readonly Instruction[];
}

export interface Dockerfile {
  /** Its name, for messages. */
  readonly file: string;
  readonly escape: string;
  /** Before the first FROM. */
  readonly globals: readonly Arg[];
  readonly stages: readonly Stage[];
}
