import type { Command } from 'commander';
import type { MigrateEvent } from '../../../engine/migrate/migration.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { json } from '../../render/json.ts';
import { count, size } from '../../render/quantity.ts';
import { renderMigrated, renderMigrationPlan } from '../../render/store/migration.ts';

interface Options {
  readonly driver: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function migrate(command: Command, cli: Cli): void {
  command
    .requiredOption('--driver <name>', 'the storage driver that the store is to have')
    .option('--dry-run', 'say what would be done and what is in the way, and do nothing')
    .option('--json', 'print what was done as JSON')
    .action((options: Options) => run(cli, options));
  examples(
    command,
    ['mica migrate --driver vfs --dry-run', 'layers to make, from what, and the space they take'],
    ['mica migrate --driver vfs', 'make them, then change; killed, it goes on where it was'],
  );
}

async function run(cli: Cli, { driver, dryRun = false, json: asJson }: Options): Promise<void> {
  const engine = await cli.engine({ becomes: driver });
  const { onProgress, end } = progress(cli);
  try {
    const migration = await engine.migrate({ driver, dryRun, signal: cli.signal, onProgress });
    end();
    const render = dryRun ? renderMigrationPlan : renderMigrated;
    await cli.out.write(asJson ? json(migration) : render(migration, cli.out.columns));
    const configured = (await cli.config()).driver;
    if (!dryRun && configured !== undefined && configured !== driver)
      await cli.err.line(
        `mica: --storage-driver, MICA_STORAGE_DRIVER or the configuration file asks for ${escape(configured)}; change that to ${escape(driver)}`,
      );
  } catch (error) {
    end();
    if (cli.signal.aborted && !dryRun) await cli.err.line(stopped(driver));
    throw error;
  } finally {
    end();
  }
}

const stopped = (driver: string): string =>
  `mica: stopped; the store has the driver that it had, \`mica migrate --driver ${escape(driver)}\` goes on, and one to the driver that it has gives it up`;

/** A line on the terminal that is written over; elsewhere only what one has to know while it waits. */
function progress({ err }: Cli): { onProgress: (event: MigrateEvent) => void; end: () => void } {
  const read = new Map<string, number>();
  let [layers, made, shown] = [0, 0, false];
  const show = (text: string): void => {
    if (!err.isTTY) return;
    shown = true;
    err.stream.write(`\r${text}\u001b[K`);
  };
  const end = (): void => {
    if (shown) err.stream.write('\r\u001b[K');
    shown = false;
  };
  return {
    end,
    onProgress(event) {
      if (event.type === 'planned') layers = event.layers;
      if (event.type === 'made') made++;
      if (event.type === 'bytes') read.set(event.key, event.done);
      if (event.type === 'waiting') {
        end();
        err.stream.write(`${waitingFor(event.holders)}\n`);
      } else if (event.type === 'changed')
        show(`Removing ${count(event.removing, 'layer')} of the old driver`);
      else {
        const bytes = [...read.values()].reduce((sum, done) => sum + done, 0);
        show(`Making layers: ${made} of ${Math.max(layers, made)}, ${size(bytes)} read`);
      }
    },
  };
}

const waitingFor = (holders: readonly string[]): string =>
  `Waiting until nobody else uses the store${holders.length > 0 ? `: ${holders.map(escape).join(', ')}` : ''}`;
