import type { Command } from 'commander';
import type { ContainerProcess } from '../../../runtime/processes.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';
import { clock, timeOfDay } from '../../render/quantity.ts';
import { type Column, table } from '../../render/table.ts';

const LAYOUT: readonly Column[] = ['UID', 'PID', 'PPID', 'STIME', 'TTY', 'TIME', 'CMD'].map(
  (head) => ({ head }),
);

export function top(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .option('--json', 'everything as JSON')
    .action(async (name: string, options: { readonly json?: boolean }) => {
      const { containers } = await cli.engine();
      const found = await containers.processes(name);
      await cli.out.write(options.json ? json(found) : table(LAYOUT, found.map(cells)));
    });
  examples(
    command,
    ['mica top web', 'its processes, with the IDs that this machine knows them by'],
    ["mica top web --json | jq '.[].pid'", 'for programs'],
  );
}

const cells = ({
  uid,
  pid,
  ppid,
  startedAt,
  tty,
  cpuTime,
  command,
}: ContainerProcess): string[] => [
  String(uid),
  String(pid),
  String(ppid),
  timeOfDay(startedAt),
  tty === 0 ? '?' : `pts/${(tty & 0xff) | ((tty >>> 12) & 0xfff00)}`,
  clock(cpuTime),
  command,
];
