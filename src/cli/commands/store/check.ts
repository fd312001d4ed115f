import type { Command } from 'commander';
import type { CheckReport } from '../../../engine/check/check.ts';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { PartialFailure } from '../../failure.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { json } from '../../render/json.ts';
import { count } from '../../render/quantity.ts';

interface Options {
  readonly repair?: boolean;
  readonly json?: boolean;
}

export function check(command: Command, cli: Cli): void {
  command
    .option('--repair', 'make again what is broken: from the blob, else from the registry')
    .option('--json', 'the report as JSON')
    .action((options: Options) => verify(cli, options));
  examples(
    command,
    ['mica check', 'read everything, and compare it with its digest'],
    ['mica check --repair', 'and mend it'],
  );
}

async function verify(cli: Cli, options: Options): Promise<void> {
  const report = await (
    await cli.engine()
  ).check({
    repair: options.repair === true,
    signal: cli.signal,
    onProgress: ({ done, total }) => progress(cli, done, total),
  });
  if (cli.err.isTTY) cli.err.stream.write('\r\u001b[K');
  await cli.out.write(options.json ? json(report) : render(report));
  const broken = report.problems.filter(({ repaired }) => !repaired).length;
  if (broken > 0) throw new PartialFailure(new MicaError('DATA_LOSS', count(broken, 'problem')));
}

function progress({ err }: Cli, done: number, total: number): void {
  if (err.isTTY) err.stream.write(`\rChecking ${done} of ${total}\u001b[K`);
}

function render({ blobs, layers, images, problems }: CheckReport): string {
  const lines = problems.map(
    ({ kind, subject, message, repaired }) =>
      `${escape(kind)} ${escape(subject)}: ${escape(message)}${repaired ? ' (repaired)' : ''}`,
  );
  const broken = problems.filter(({ repaired }) => !repaired).length;
  const checked = `${count(images, 'image')}, ${count(layers, 'layer')}, ${count(blobs, 'blob')}`;
  const verdict =
    problems.length === 0
      ? 'everything is as it should be'
      : `${count(problems.length, 'problem')}, ${broken} left`;
  return [...lines, `Checked ${checked}: ${verdict}`].map((line) => `${line}\n`).join('');
}
