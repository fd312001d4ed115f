import type { Command } from 'commander';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { json } from '../../render/json.ts';

interface Options {
  readonly author?: string;
  readonly message?: string;
  readonly change: readonly string[];
  readonly pause: string | boolean;
  readonly json?: boolean;
}

export function commit(command: Command, cli: Cli): void {
  command
    .argument('<container>', 'name or ID')
    .argument('[name]', 'name of the new image')
    .option('-a, --author <author>', 'who made it: "NAME <MAIL>"')
    .option('-m, --message <text>', 'what it is about')
    .option(
      '-c, --change <instruction>',
      'Dockerfile instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, USER, VOLUME, WORKDIR, …',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('-p, --pause', 'pause it meanwhile, as is the default', true)
    .option('--no-pause', 'let it run on meanwhile')
    .option('--json', 'ID and digest as JSON')
    .action((name: string, image: string | undefined, options: Options) =>
      run(cli, name, image, options),
    );
  examples(
    command,
    ['mica commit web web:patched', 'its image and what it changed, as a new image'],
    [`mica commit -c 'CMD ["httpd"]' -m 'security patch' web web:2`, 'with another command'],
  );
}

async function run(
  cli: Cli,
  name: string,
  image: string | undefined,
  { author, message, change, pause, ...options }: Options,
): Promise<void> {
  const { containers } = await cli.engine();
  const made = await containers.commit(name, {
    author,
    message,
    changes: change,
    pause: pause !== false,
    names: image === undefined ? [] : [image],
    signal: cli.signal,
  });
  const { id, manifestDescriptor } = made;
  if (options.json) await cli.out.write(json({ id, digest: manifestDescriptor.digest }));
  else await cli.out.line(id);
}
