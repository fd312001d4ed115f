import { wrong } from './failure.ts';
import type { Arg, Dockerfile, From, Instruction, Stage } from './instruction.ts';
import { type Logical, splitLines } from './lines.ts';
import { parseFrom } from './parse-from.ts';
import { parseInstruction } from './parse-instruction.ts';

/** Stages and instructions that people write are far fewer. */
const [MAX_STAGES, MAX_INSTRUCTIONS] = [1000, 10_000];

interface OpenStage {
  readonly from: From;
  readonly name: string | undefined;
  readonly instructions: Instruction[];
}

/**
 * Reads a Dockerfile. Everything about its syntax is found out here; what depends on the values of
 * variables, later.
 * @param file - its name, for messages
 * @throws INVALID_ARGUMENT · NOT_IMPLEMENTED, with `file:line`
 */
export function parseDockerfile(bytes: Uint8Array, file: string): Dockerfile {
  const { directives, lines } = splitLines(bytes, file);
  const { escape } = directives;
  const excess = lines[MAX_INSTRUCTIONS];
  if (excess !== undefined)
    throw wrong({ file, line: excess.line }, `more than ${MAX_INSTRUCTIONS} instructions`);
  const globals: Arg[] = [];
  const stages: OpenStage[] = [];
  for (const line of lines) {
    const stage = stages.at(-1);
    if (keywordOf(line) === 'from') stages.push(openStage(line, { file, escape }, stages));
    else if (stage !== undefined) stage.instructions.push(parseInstruction(line, { file, escape }));
    else globals.push(globalArg(line, { file, escape }));
  }
  if (stages.length === 0)
    throw wrong({ file, line: Math.max(1, lines.length) }, 'there is no FROM: nothing to build on');
  return {
    file,
    escape,
    globals,
    stages: stages.map(
      ({ name, from, instructions }, index): Stage => ({ index, name, from, instructions }),
    ),
  };
}

const keywordOf = ({ text }: Logical): string => /^\S*/.exec(text)![0].toLowerCase();

interface Context {
  readonly file: string;
  readonly escape: string;
}

function openStage(line: Logical, context: Context, before: readonly OpenStage[]): OpenStage {
  const { from, name } = parseFrom(line, context);
  const place = { file: context.file, line: line.line };
  if (before.length === MAX_STAGES) throw wrong(place, `more than ${MAX_STAGES} stages`);
  if (name !== undefined && before.some((stage) => stage.name === name))
    throw wrong(place, `there is a stage ${name} already`);
  return { from, name, instructions: [] };
}

function globalArg(line: Logical, context: Context): Arg {
  const instruction = parseInstruction(line, context);
  if (instruction.kind === 'arg') return instruction;
  throw wrong(
    { file: context.file, line: line.line },
    `${instruction.kind.toUpperCase()} before the first FROM, where only ARG may stand`,
  );
}
