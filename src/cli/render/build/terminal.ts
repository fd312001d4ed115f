import { createLogUpdate } from 'log-update';
import type { BuildEvent, BuildStep } from '../../../build/event.ts';
import type { OutputStream } from '../../output.ts';
import { escape } from '../escape.ts';
import { cut } from '../table.ts';
import { OutputLines } from './lines.ts';
import type { BuildRenderer } from './open.ts';
import { conclusion, ending, explanation, seconds, title } from './words.ts';

/** Time between two pictures, in milliseconds. */
const INTERVAL = 100;
/** Lines of a command's output that are shown while it runs. */
const LINES = 6;
/** And when it fails. */
const KEPT = 50;

interface Running {
  readonly step: BuildStep;
  readonly begun: number;
  readonly lines: string[];
  readonly said: Readonly<Record<'stdout' | 'stderr', OutputLines>>;
}

/** What is drawn over counts as a line that is over. */
const END = /[\r\n]+/;

/** Steps that run, each with the last lines that it said, redrawn in place; above them those that ended. */
export function terminalBuild(
  stream: OutputStream,
  { explain }: { readonly explain: boolean },
): BuildRenderer {
  const update = createLogUpdate(stream);
  const running = new Map<number, Running>();
  const draw = (): void => {
    const columns = stream.columns ?? 80;
    const rows = Math.max(2, (stream.rows ?? 24) - 2);
    const lines = [...running.values()].flatMap((one) => [
      `=> ${title(one.step)} ${seconds(performance.now() - one.begun)}`,
      ...one.lines.slice(-LINES).map((line) => `   ${line}`),
    ]);
    update(
      lines
        .slice(0, rows)
        .map((line) => cut(line, columns))
        .join('\n'),
    );
  };
  const timer = setInterval(draw, INTERVAL).unref();
  const keep = (text: string): void => update.persist(cut(text, stream.columns ?? 80));
  const output = ({ step, stream: from, data }: Extract<BuildEvent, { type: 'output' }>): void => {
    const one = running.get(step.id);
    if (one === undefined) return;
    one.lines.push(...one.said[from].push(data).map(escape));
    one.lines.splice(0, one.lines.length - KEPT);
  };
  return {
    event(event) {
      switch (event.type) {
        case 'started':
          running.set(event.step.id, {
            step: event.step,
            begun: performance.now(),
            lines: [],
            said: { stdout: new OutputLines(END), stderr: new OutputLines(END) },
          });
          return;
        case 'output':
          return output(event);
        case 'done':
          running.delete(event.step.id);
          keep(`=> ${title(event.step)} ${ending(event)}`);
          if (explain) for (const line of explanation(event.cache)) keep(`   ${line}`);
          return;
        case 'failed': {
          const { lines = [], said } = running.get(event.step.id) ?? {};
          const rest = said === undefined ? [] : [...said.stdout.flush(), ...said.stderr.flush()];
          running.delete(event.step.id);
          keep(`=> ${title(event.step)} ERROR`);
          for (const line of [...lines, ...rest.map(escape)]) update.persist(`   ${line}`);
          return;
        }
        case 'warning':
          return keep(`Warning: ${escape(event.message)}`);
        case 'base':
      }
    },
    end(result) {
      clearInterval(timer);
      update.clear();
      update.done();
      if (result !== undefined) stream.write(`${conclusion(result).join('\n')}\n`);
    },
  };
}
