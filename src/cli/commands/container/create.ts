import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import type { Container } from '../../../container/container.ts';
import type { Engine } from '../../../engine/engine.ts';
import { fromNode } from '../../../sys/errno.ts';
import type { Cli } from '../../cli.ts';
import { type ContainerFlags, containerFlags } from '../../parse/container/flags.ts';
import { requestOf, warningsOf } from '../../parse/container/request.ts';
import { streamsOf } from '../../parse/container/streams.ts';
import { examples } from '../../program.ts';
import { provideImage } from '../../provide-image.ts';

export function create(command: Command, cli: Cli): void {
  containerFlags(command);
  command.action(async (image: string, words: string[], flags: ContainerFlags) => {
    const engine = await cli.engine();
    await cli.out.line((await createContainer(cli, engine, image, words, flags)).id);
  });
  examples(
    command,
    ['mica create --name web -v ./site:/srv:ro httpd', 'prints its ID; `mica start web` runs it'],
    ['mica create -it debian bash', 'to be started with `mica start -ai`'],
  );
}

/** Also for `run`. */
export async function createContainer(
  cli: Cli,
  engine: Engine,
  image: string,
  words: readonly string[],
  flags: ContainerFlags,
): Promise<Container> {
  const request = requestOf(flags, words);
  streamsOf(flags);
  for (const warning of warningsOf(flags)) await cli.err.line(`mica: ${warning}`);
  await provideImage(cli, engine, image, flags);
  const { cidfile } = flags;
  if (cidfile === undefined) return await engine.containers.create(image, request);
  const fd = openNew(cidfile);
  try {
    const container = await engine.containers.create(image, request);
    writeSync(fd, container.id);
    return container;
  } catch (error) {
    rmSync(cidfile, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o644);
  } catch (error) {
    throw fromNode(error);
  }
}
