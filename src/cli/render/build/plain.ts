import type { BuildEvent } from '../../../build/event.ts';
import { escape, escapeText } from '../escape.ts';
import type { BuildRenderer } from './open.ts';
import { conclusion, ending, explanation, seconds, title } from './words.ts';

/** Lines for logs, each with the number of its step. */
export function plainBuild(
  write: (text: string) => void,
  { explain }: { readonly explain: boolean },
  now: () => number = () => performance.now(),
): BuildRenderer {
  const say = (text: string): void => write(`${text}\n`);
  const begun = new Map<number, number>();
  /** By step: what a command has said of a line that is not over. */
  const rests = new Map<number, string>();
  const tell = (id: number, text: string): void =>
    say(`#${id} ${seconds(now() - (begun.get(id) ?? now())).slice(0, -1)} ${escapeText(text)}`);
  const output = ({ step, data }: Extract<BuildEvent, { type: 'output' }>): void => {
    const lines = ((rests.get(step.id) ?? '') + Buffer.from(data).toString()).split(/\r?\n/);
    rests.set(step.id, lines.pop()!);
    for (const line of lines) tell(step.id, line);
  };
  const flush = (id: number): void => {
    const rest = rests.get(id) ?? '';
    rests.delete(id);
    if (rest !== '') tell(id, rest);
  };
  return {
    event(event) {
      switch (event.type) {
        case 'started':
          begun.set(event.step.id, now());
          return say(`#${event.step.id} ${title(event.step)}`);
        case 'output':
          return output(event);
        case 'done':
          flush(event.step.id);
          if (explain)
            for (const line of explanation(event.cache)) say(`#${event.step.id} ${line}`);
          return say(`#${event.step.id} ${ending(event)}`);
        case 'failed':
          flush(event.step.id);
          return say(`#${event.step.id} ERROR ${escape(event.message)}`);
        case 'base':
          if (event.event.type === 'complete')
            say(`${escape(event.image)}: ${event.event.target.digest} complete`);
          return;
        case 'warning':
          say(`Warning: ${escape(event.message)}`);
      }
    },
    end(result) {
      if (result !== undefined) conclusion(result).forEach(say);
    },
  };
}
