import type { Command } from 'commander';
import type { EngineInfo } from '../../../engine/info.ts';
import { formatPlatform } from '../../../oci/platform.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { escape, escapeText } from '../../render/escape.ts';
import { infoFields } from '../../render/store/info.ts';
import { json } from '../../render/json.ts';
import { toJson } from '../../template/json.ts';

interface Options {
  readonly format?: string;
  readonly json?: boolean;
}

export function info(command: Command, cli: Cli): void {
  command
    .option('-f, --format <template>', "Go template of docker's fields, or json")
    .option('--json', 'everything as JSON')
    .action(async ({ format, json: asJson }: Options) => {
      const engine = await cli.engine();
      const facts = await engine.info();
      if (format === undefined) return cli.out.write(asJson ? json(facts) : render(facts));
      const fields = infoFields(facts, await engine.containers.list());
      if (format === 'json') return cli.out.line(toJson(fields));
      const { compileTemplate } = await import('../../template/template.ts');
      const text = compileTemplate(format)(fields);
      return cli.out.line(cli.out.isTTY ? escapeText(text) : text);
    });
  examples(
    command,
    ['mica info', 'which driver is used, and why not another'],
    ["mica info -f '{{.Driver}} {{.DockerRootDir}}'", 'for scripts made for docker'],
  );
}

function render(facts: EngineInfo): string {
  const { inflater } = facts;
  const lines: [string, string][] = [
    ['Version', facts.version],
    ['Root', facts.root],
    ['Storage driver', `${facts.driver} (${facts.driverReason})`],
    ...Object.entries(facts.driverStatus).map(([name, value]): [string, string] => [
      `  ${name}`,
      value,
    ]),
    ...facts.rejected.map(({ driver, reason }): [string, string] => [`  not ${driver}`, reason]),
    ['  only when asked for (--storage-driver)', facts.onRequest.join(', ')],
    ...(facts.migratingTo === undefined
      ? []
      : [
          [
            '  changing to',
            `${facts.migratingTo} (unfinished; mica migrate --driver ${facts.migratingTo} goes on)`,
          ] as [string, string],
        ]),
    ['Platform', formatPlatform(facts.platform)],
    ['Kernel', facts.kernel],
    [
      'Gzip by',
      inflater.reason === undefined ? inflater.name : `${inflater.name} (${inflater.reason})`,
    ],
    ['Rootless', facts.rootless ? 'yes' : 'no'],
    ['Images', String(facts.images)],
    ['Layers', String(facts.layers)],
    ...facts.waiting.map(({ driver, layers, reason }): [string, string] => [
      `  ${layers} of ${driver} to be removed`,
      reason,
    ]),
    ['Features', ''],
    ...Object.entries(facts.features).map(([name, value]): [string, string] => [
      `  ${name}`,
      typeof value === 'boolean' ? (value ? 'yes' : 'no') : value,
    ]),
  ];
  return lines
    .map(([name, value]) => `${name}: ${escape(value)}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}
