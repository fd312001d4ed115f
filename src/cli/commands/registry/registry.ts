import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import type { Command } from 'commander';
import { storeBackend } from '../../../distribution/backend/store.ts';
import type { RequestEvent } from '../../../distribution/answer.ts';
import { serveRegistry } from '../../../distribution/server.ts';
import { MicaError } from '../../../errors.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { escape } from '../../render/escape.ts';
import { jsonLine } from '../../render/json.ts';
import { size } from '../../render/quantity.ts';

interface Options {
  readonly listen: string;
  readonly writable?: boolean;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly host: readonly string[];
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function registry(command: Command, cli: Cli): void {
  command
    .option('--listen <address:port>', 'where; port 0 is any free one', '127.0.0.1:5000')
    .option('--writable', 'take pushes and deletions from whoever has the token')
    .option('--token <token>', 'of 8 or more bytes; others can see it in the list of processes')
    .option('--token-file <file>', 'where the token is; without either, one is made up and printed')
    .option(
      '--host <name>',
      'a name that the registry answers to, besides localhost and addresses',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('-q, --quiet', 'no line for each request')
    .option('--json', 'address and requests as lines of JSON')
    .action((options: Options) => serve(cli, options));
  examples(
    command,
    ['mica registry', 'docker pull localhost:5000/redis now works'],
    ['mica registry --listen 127.0.0.1:0', 'on any free port, which is printed'],
    [
      'mica registry --writable --token-file ~/.mica-token',
      'docker login -u any, then docker push',
    ],
  );
}

async function serve(cli: Cli, options: Options): Promise<void> {
  const { address, port } = parseListen(options.listen);
  const token = await tokenOf(options);
  const { root } = await cli.config();
  await using backend = await storeBackend(root, {
    writable: token !== undefined,
    restore: async (target) => (await cli.store()).restoreBlob(target),
  });
  await using server = await serveRegistry({
    backend,
    address,
    port,
    writable: token === undefined ? undefined : { token },
    hosts: options.host,
    onRequest: options.quiet ? undefined : (event) => log(cli, event, options),
  });
  const { url } = server;
  const made =
    token !== undefined && options.token === undefined && options.tokenFile === undefined;
  if (options.json)
    await cli.out.write(
      jsonLine({
        type: 'listening',
        url,
        root,
        writable: token !== undefined,
        ...(made && { token }),
      }),
    );
  else {
    await cli.out.line(
      `Serving the images of ${root} at ${url}${token === undefined ? ', read-only' : ''}`,
    );
    if (made)
      await cli.out.line(
        `Token for pushes (docker login -u any ${url.replace('http://', '')}): ${token}`,
      );
  }
  if (!/^(?:127\.|::1$)/.test(server.address))
    await cli.err.line('mica: whoever reaches this address can read all images of this store');
  await new Promise<void>((resolve) => {
    if (cli.signal.aborted) resolve();
    cli.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function parseListen(text: string): { address: string; port: number } {
  const found = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  const address = found?.[1] ?? (found?.[2] || '127.0.0.1');
  if (!found || port > 65_535 || (found[1] !== undefined && !isIPv6(found[1])))
    throw new MicaError(
      'INVALID_ARGUMENT',
      `--listen ${JSON.stringify(text)} is not ADDRESS:PORT, such as 127.0.0.1:5000 or [::1]:5000`,
    );
  return { address: address === 'localhost' ? '127.0.0.1' : address, port };
}

async function tokenOf({ writable, token, tokenFile }: Options): Promise<string | undefined> {
  if (!writable) {
    if (token === undefined && tokenFile === undefined) return undefined;
    throw new MicaError('INVALID_ARGUMENT', 'a token is for a registry with --writable');
  }
  if (tokenFile !== undefined) return (await readFile(tokenFile, 'utf8')).trim();
  return token ?? randomBytes(18).toString('base64url');
}

function log(cli: Cli, event: RequestEvent, { json }: Options): void {
  const { method, target, status, bytes, milliseconds, error } = event;
  const why = error === undefined ? '' : error instanceof Error ? error.message : 'unknown error';
  cli.err.stream.write(
    json
      ? jsonLine({
          type: 'request',
          method,
          target,
          status,
          bytes,
          milliseconds,
          ...(why && { error: why }),
        })
      : `${method} ${escape(target)} ${status} ${size(bytes)} ${Math.round(milliseconds)} ms${why && `: ${escape(why)}`}\n`,
  );
}
