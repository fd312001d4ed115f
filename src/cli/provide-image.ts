import type { Command } from 'commander';
import type { Engine } from '../engine/engine.ts';
import { isCode, MicaError } from '../errors.ts';
import { parsePlatform } from '../oci/platform.ts';
import type { Cli } from './cli.ts';
import { settle } from './settle.ts';
import { SmallNursery } from './small-nursery.ts';

export interface Wanted {
  readonly pull: string;
  readonly platform?: string;
  readonly quiet?: boolean;
}

/** docker's option of what needs an image. */
export const pullOption = (command: Command): Command =>
  command.option('--pull <when>', 'pull the image: always, missing or never', 'missing');

/** Pulls an image that a command needs, when it is to be. What is done is told on standard error. */
export async function provideImage(
  cli: Cli,
  engine: Engine,
  image: string,
  { pull, platform, quiet = false }: Wanted,
): Promise<void> {
  if (!['always', 'missing', 'never'].includes(pull))
    throw new MicaError('INVALID_ARGUMENT', `--pull ${pull} is none of always, missing, never`);
  if (pull !== 'always' && (await isHere(engine, image, pull))) return;
  const { openProgress } = await import('./render/progress/open.ts');
  const { pullConclusion } = await import('./render/progress/conclusions.ts');
  const { PULL } = await import('./render/progress/words.ts');
  using nursery = new SmallNursery();
  // Standard output is for what the command itself says.
  const renderer = await openProgress(cli, { json: true, quiet }, PULL);
  let result;
  try {
    result = await engine.pull(image, {
      platform: platform === undefined ? undefined : parsePlatform(platform),
      signal: cli.signal,
      toMount: true,
      onProgress: (event) => {
        nursery.hear(event);
        renderer?.event(event);
      },
    });
  } finally {
    renderer?.end(result && pullConclusion(result));
  }
  await settle(cli, engine);
}

async function isHere(engine: Engine, image: string, pull: string): Promise<boolean> {
  try {
    // What follows writes: once the store is open for that, nothing else is opened for reading.
    await engine.driver();
    await engine.image(image);
    return true;
  } catch (error) {
    if (pull === 'never' || !isCode(error, 'NOT_FOUND')) throw error;
    return false;
  }
}
