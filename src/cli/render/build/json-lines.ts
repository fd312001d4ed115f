import { StringDecoder } from 'node:string_decoder';
import type { BuildEvent } from '../../../build/event.ts';
import { jsonLine } from '../json.ts';
import type { BuildRenderer } from './open.ts';

/** Every event as a line of JSON; what commands say as text. */
export function jsonBuild(write: (text: string) => void): BuildRenderer {
  /** By step and stream: a character may come in two pieces. */
  const decoders = new Map<string, StringDecoder>();
  const decode = ({ step, stream, data }: Extract<BuildEvent, { type: 'output' }>): string => {
    const key = `${step.id} ${stream}`;
    const decoder = decoders.get(key) ?? new StringDecoder();
    decoders.set(key, decoder);
    return decoder.write(data);
  };
  return {
    event(event) {
      write(jsonLine(event.type === 'output' ? { ...event, data: decode(event) } : event));
    },
    end(result) {
      if (result === undefined) return;
      const { image, tags, cached, steps } = result;
      write(
        jsonLine({
          type: 'built',
          id: image.id,
          manifest: image.manifestDescriptor.digest,
          tags,
          cached,
          steps,
        }),
      );
    },
  };
}
