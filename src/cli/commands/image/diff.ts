import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { diffContainer } from '../container/diff.ts';
import { compareImages, type CompareOptions } from './compare.ts';

/** One word is a container, two are images: docker's verb, and ours. */
export function diff(command: Command, cli: Cli): void {
  command
    .argument(
      '<name>',
      'a container; or an image (IMAGE@N: its first N layers), and the one that it is compared with',
    )
    .argument('[image]', 'the other image, or the first N layers of one')
    .option('--json', 'everything as JSON')
    .option('--times', 'of images: also files of which nothing but the time differs')
    .option('--exit-code', 'of images: 1 when they differ')
    .action((name: string, image: string | undefined, options: CompareOptions) =>
      image === undefined
        ? diffContainer(cli, name, options)
        : compareImages(cli, name, image, options),
    );
  examples(
    command,
    ['mica diff web', 'what a container has added (A), changed (C) and deleted (D)'],
    ['mica diff app:1 app:2', 'what is different in the second image: files, then defaults'],
    ['mica diff app:2@3 app:2', 'what the layers from the fourth on did'],
    ['mica diff --exit-code --json app:1 app:2', 'for programs'],
  );
}
