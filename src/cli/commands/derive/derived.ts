import type { Command } from 'commander';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { Cli } from '../../cli.ts';
import { collect } from '../../parse/list.ts';
import { json } from '../../render/json.ts';

/** Options of every command that makes an image of another one. */
export interface DerivedOptions {
  readonly tag?: readonly string[];
  readonly json?: boolean;
}

export const derivedOptions = (command: Command): Command =>
  command
    .option('-t, --tag <name>', 'a name for the new image, may be given again', collect)
    .option('--json', 'tell of the new image as JSON');

/** Tells of the image that was made: its ID, as docker does. */
export async function printDerived(
  cli: Cli,
  image: StoredImage,
  options: DerivedOptions,
  more: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  if (!options.json) return cli.out.line(image.id);
  const { id, references, manifestDescriptor, layers } = image;
  await cli.out.write(
    json({
      id,
      references,
      manifest: manifestDescriptor,
      layers: layers.map(({ descriptor, diffId }) => ({ ...descriptor, diffId })),
      ...more,
    }),
  );
}
