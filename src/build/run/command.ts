import type { Run } from '../dockerfile/instruction.ts';

/** What RUN executes. */
export interface RunCommand {
  readonly args: readonly string[];
  /** A program that stands in the Dockerfile: where it is mounted, and its text. */
  readonly script: { readonly path: string; readonly text: string } | undefined;
}

const ONLY_HEREDOC = /^<<-?\s*(?:"[^"]*"|'[^']*'|\S+)$/;

/**
 * A command in JSON form as it is; else for the shell. Of a heredoc alone the text is the command, or
 * a program of its own when it says who reads it (`#!`); a command with heredocs gets them as the
 * shell would.
 * @param shell - the words that start it
 */
export function runCommand({ form, heredocs }: Run, shell: readonly string[]): RunCommand {
  if (!form.shell) return { args: form.words, script: undefined };
  const [first] = heredocs;
  if (first === undefined) return { args: [...shell, form.text], script: undefined };
  if (heredocs.length > 1 || !ONLY_HEREDOC.test(form.text)) {
    const texts = heredocs.map(({ name, content }) => `\n${content}${name}`);
    return { args: [...shell, form.text + texts.join('')], script: undefined };
  }
  if (!first.content.startsWith('#!'))
    return { args: [...shell, first.content], script: undefined };
  const path = `/dev/pipes/${first.name}`;
  return { args: [path], script: { path, text: first.content } };
}
