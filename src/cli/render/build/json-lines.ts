import { jsonLine } from '../json.ts';
import type { BuildRenderer } from './open.ts';

/** Every event as a line of JSON; what commands say as text. */
export const jsonBuild = (write: (text: string) => void): BuildRenderer => ({
  event(event) {
    if (event.type !== 'output') write(jsonLine(event));
    else write(jsonLine({ ...event, data: Buffer.from(event.data).toString() }));
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
});
