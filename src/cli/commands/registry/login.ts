import type { Command } from 'commander';
import { MicaError } from '../../../errors.ts';
import { login as logIn } from '../../../registry/login.ts';
import { systemFiles, systemOptions } from '../../../registry/credentials.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { ask, askSecret, readSecret } from '../../prompt.ts';
import { escape } from '../../render/escape.ts';
import { DOCKER_HUB, registryDomain } from '../../parse/registry-domain.ts';

interface Options {
  readonly username?: string;
  readonly password?: string;
  readonly passwordStdin?: boolean;
}

export function login(command: Command, cli: Cli): void {
  command
    .argument('[registry]', 'host, with its port if it has one', DOCKER_HUB)
    .option('-u, --username <name>', 'user name; asked for when it is missing')
    .option('-p, --password <password>', 'others can see it in the list of processes: better not')
    .option('--password-stdin', 'take the password from standard input')
    .action((registry: string, options: Options) => run(cli, registry, options));
  examples(
    command,
    ['mica login', 'Docker Hub; asks for name and password'],
    ['mica login -u me --password-stdin registry.example.com < token', 'for scripts'],
  );
}

async function run(cli: Cli, registry: string, options: Options): Promise<void> {
  const domain = registryDomain(registry);
  if (options.passwordStdin && options.password !== undefined)
    throw new MicaError('INVALID_ARGUMENT', '--password and --password-stdin exclude each other');
  if (options.passwordStdin && options.username === undefined)
    throw new MicaError('INVALID_ARGUMENT', '--password-stdin needs --username');
  if (options.password !== undefined)
    await cli.err.line(
      'mica: other users can see a password on the command line; use --password-stdin',
    );
  const username = options.username ?? (await ask(cli, `Username for ${domain}: `));
  const secret = await secretOf(cli, options);
  if (username === '' || secret === '')
    throw new MicaError('INVALID_ARGUMENT', 'user name and password must not be empty');
  const { hosts, proxy } = systemOptions();
  const { insecureRegistries } = await cli.config();
  const result = await logIn(
    domain,
    { username, secret },
    {
      file: systemFiles().dockerConfig,
      registry: { hosts, proxy, insecure: insecureRegistries },
      signal: cli.signal,
    },
  );
  const where = result.keptBy === 'file' ? `unencrypted in ${result.path}` : `by ${result.keptBy}`;
  await cli.out.line(`Login Succeeded (the password is kept ${escape(where)})`);
}

function secretOf(cli: Cli, { password, passwordStdin }: Options): Promise<string> {
  if (passwordStdin) return readSecret(cli);
  return password === undefined ? askSecret(cli, 'Password: ') : Promise.resolve(password);
}
