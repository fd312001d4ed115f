import type { Command } from 'commander';
import { systemFiles } from '../../../registry/credentials.ts';
import { logout as logOut } from '../../../registry/login.ts';
import type { Cli } from '../../cli.ts';
import { examples } from '../../program.ts';
import { DOCKER_HUB, registryDomain } from '../../parse/registry-domain.ts';

export function logout(command: Command, cli: Cli): void {
  command
    .argument('[registry]', 'host, with its port if it has one', DOCKER_HUB)
    .action(async (registry: string) => {
      const domain = registryDomain(registry);
      const file = systemFiles().dockerConfig;
      const known = await logOut(domain, { file, signal: cli.signal });
      await cli.out.line(known ? `Removed the login for ${domain}` : `Not logged in to ${domain}`);
    });
  examples(command, ['mica logout registry.example.com', 'forget its password']);
}
