import type { BuildEvent } from '../../../build/event.ts';
import { escape, escapeText } from '../escape.ts';
import { OutputLines } from './lines.ts';
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
  /** By step and stream. */
  const said = new Map<number, Map<string, OutputLines>>();
  const tell = (id: number, text: string): void =>
    say(`#${id} ${seconds(now() - (begun.get(id) ?? now())).slice(0, -1)} ${escapeText(text)}`);
  const output = ({ step, stream, data }: Extract<BuildEvent, { type: 'output' }>): void => {
    const streams = said.get(step.id) ?? new Map<string, OutputLines>();
    const lines = streams.get(stream) ?? new OutputLines(/\r?\n/);
    said.set(step.id, streams.set(stream, lines));
    for (const line of lines.push(data)) tell(step.id, line);
  };
  const flush = (id: number): void => {
    for (const lines of said.get(id)?.values() ?? [])
      for (const line of lines.flush()) tell(id, line);
    said.delete(id);
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
