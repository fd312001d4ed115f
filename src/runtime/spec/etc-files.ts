import { mkdirSync, readFileSync } from 'node:fs';
import { hostname as machineName } from 'node:os';
import { join } from 'node:path';
import { MicaError } from '../../errors.ts';
import { writeAtomic } from '../../io/atomic.ts';
import type { ContainerOptions } from './options.ts';

/** A container's own `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`. */
export type EtcFiles = Readonly<Record<string, string>>;

/**
 * Writes them to `directory`.
 * @returns path in the container → file
 */
export function writeEtcFiles(
  directory: string,
  hostname: string,
  options: Pick<ContainerOptions, 'network' | 'hosts' | 'dns' | 'domainname'>,
): EtcFiles {
  mkdirSync(directory, { recursive: true });
  const content: Record<string, string> = {
    hosts: hostsFile(hostname, options),
    hostname: `${hostname}\n`,
    'resolv.conf': resolvConf(options.dns),
  };
  const files: Record<string, string> = {};
  for (const [name, text] of Object.entries(content)) {
    const path = join(directory, name);
    // Made anew at each start: nothing is lost with the machine.
    writeAtomic(path, text, { durable: false });
    files[`/etc/${name}`] = path;
  }
  return files;
}

export const defaultHostname = (id: string, network: ContainerOptions['network']): string =>
  network === 'host' ? machineName() : id.slice(0, 12);

const LOCAL = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

function hostsFile(
  hostname: string,
  { network, hosts = [], domainname }: Pick<ContainerOptions, 'network' | 'hosts' | 'domainname'>,
): string {
  const names = domainname ? `${hostname}.${domainname} ${hostname}` : hostname;
  const base =
    network === 'host' ? machineFile('/etc/hosts') || LOCAL : `${LOCAL}127.0.1.1\t${names}\n`;
  return base.replace(/(?<=.)\n*$/, '\n') + hosts.map(hostsLine).join('');
}

function hostsLine(entry: string): string {
  // The address may hold colons itself.
  const [, name, address] = /^([^\s:=]+)[:=]\[?([0-9A-Fa-f.:]+)\]?$/.exec(entry) ?? [];
  if (name === undefined)
    throw new MicaError('INVALID_ARGUMENT', `${JSON.stringify(entry)} is not NAME:ADDRESS`);
  return `${address}\t${name}\n`;
}

function resolvConf(dns: readonly string[] = []): string {
  const wrong = dns.find((server) => !/^[0-9A-Fa-f.:]+(?:%\w+)?$/.test(server));
  if (wrong !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(wrong)} is not the address of a name server`,
    );
  const machine = machineFile('/etc/resolv.conf');
  if (dns.length === 0) return machine;
  const rest = machine.split('\n').filter((line) => /^(?:search|options)\b/.test(line));
  return [...dns.map((server) => `nameserver ${server}`), ...rest, ''].join('\n');
}

function machineFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
