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
  options: Pick<
    ContainerOptions,
    'network' | 'hosts' | 'dns' | 'dnsSearch' | 'dnsOptions' | 'domainname'
  >,
): EtcFiles {
  mkdirSync(directory, { recursive: true });
  const content: Record<string, string> = {
    hosts: hostsFile(hostname, options),
    hostname: `${hostname}\n`,
    'resolv.conf': resolvConf(options),
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

function resolvConf({
  dns = [],
  dnsSearch = [],
  dnsOptions = [],
}: Pick<ContainerOptions, 'dns' | 'dnsSearch' | 'dnsOptions'>): string {
  const wrong = dns.find((server) => !/^[0-9A-Fa-f.:]+(?:%\w+)?$/.test(server));
  if (wrong !== undefined)
    throw new MicaError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(wrong)} is not the address of a name server`,
    );
  const machine = machineFile('/etc/resolv.conf');
  if (dns.length + dnsSearch.length + dnsOptions.length === 0) return machine;
  const lines = machine.split('\n');
  const own = (kind: string, asked: readonly string[]): string[] =>
    asked.length === 0
      ? lines.filter((line) => line.split(/\s/)[0] === kind)
      : [`${kind} ${asked.map(wordOf).join(' ')}`];
  return [
    ...(dns.length === 0 ? own('nameserver', []) : dns.map((server) => `nameserver ${server}`)),
    // A dot alone is docker's word for none.
    ...(dnsSearch.join('') === '.' ? [] : own('search', dnsSearch)),
    ...own('options', dnsOptions),
    '',
  ].join('\n');
}

function wordOf(text: string): string {
  if (/^[^\s#;\p{Cc}]+$/u.test(text)) return text;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(text)} is no word that /etc/resolv.conf could have`,
  );
}

function machineFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
