import type { Engine } from '../../../engine/engine.ts';
import { isCode, MicaError } from '../../../errors.ts';
import { parsePlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';

interface Wanted {
  readonly platform?: string;
  readonly pull: string;
}

/** Pulls the image of a container to be, when it is to be. What is done is told on standard error. */
export async function provideImage(
  cli: Cli,
  engine: Engine,
  image: string,
  { platform, pull }: Wanted,
): Promise<void> {
  if (!['always', 'missing', 'never'].includes(pull))
    throw new MicaError('INVALID_ARGUMENT', `--pull ${pull} is none of always, missing, never`);
  if (pull !== 'always' && (await isHere(engine, image, pull))) return;
  const { openProgress } = await import('../../render/progress/open.ts');
  const { pullConclusion } = await import('../../render/progress/conclusions.ts');
  const { PULL } = await import('../../render/progress/words.ts');
  // Standard output is the container's.
  const renderer = await openProgress(cli, { json: true }, PULL);
  let result;
  try {
    result = await engine.pull(image, {
      platform: platform === undefined ? undefined : parsePlatform(platform),
      signal: cli.signal,
      onProgress: (event) => renderer?.event(event),
    });
  } finally {
    renderer?.end(result && pullConclusion(result));
  }
}

async function isHere(engine: Engine, image: string, pull: string): Promise<boolean> {
  try {
    await engine.image(image);
    return true;
  } catch (error) {
    if (pull === 'never' || !isCode(error, 'NOT_FOUND')) throw error;
    return false;
  }
}
