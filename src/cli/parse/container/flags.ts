import { type Command, Option } from 'commander';
import { pullOption } from '../../provide-image.ts';
import { collect } from '../list.ts';
import { type LimitFlags, limitFlags } from './limits.ts';
import { type NamespaceFlags, namespaceFlags } from './namespaces.ts';
import { type ProcessFlags, processFlags } from './process-flags.ts';

/** docker's flags of `create` and `run`, as far as they say how the container shall be. */
export interface ContainerFlags extends ProcessFlags, LimitFlags, NamespaceFlags {
  readonly attach: readonly string[];
  readonly rm?: boolean;
  readonly init?: boolean;
  readonly groupAdd: readonly string[];
  readonly volume: readonly string[];
  readonly mount: readonly string[];
  readonly tmpfs: readonly string[];
  readonly readOnly?: boolean;
  readonly entrypoint?: string;
  readonly hostname?: string;
  readonly domainname?: string;
  readonly addHost: readonly string[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOption: readonly string[];
  readonly dnsOpt: readonly string[];
  readonly publish: readonly string[];
  readonly publishAll?: boolean;
  readonly expose: readonly string[];
  readonly shmSize?: string;
  readonly sysctl: readonly string[];
  readonly device: readonly string[];
  readonly deviceCgroupRule: readonly string[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly securityOpt: readonly string[];
  readonly storageOpt: readonly string[];
  readonly annotation: readonly string[];
  readonly name?: string;
  readonly label: readonly string[];
  readonly labelFile: readonly string[];
  readonly stopSignal?: string;
  readonly stopTimeout?: string;
  readonly healthcheck: boolean;
  readonly restart?: string;
  readonly logDriver?: string;
  readonly logOpt: readonly string[];
  readonly cidfile?: string;
  readonly platform?: string;
  readonly pull: string;
  readonly quiet?: boolean;
}

/** Declares them. What comes after the image belongs to the container. */
export function containerFlags(command: Command): void {
  command
    .argument('<image>', 'name, digest or ID of an image')
    .argument('[command...]', "instead of the image's own");
  processFlags(command);
  command
    .option('-a, --attach <stream>', 'only stdin, stdout or stderr, here', collect, [])
    .option('--rm', 'remove it when it ends')
    .option('--name <name>', 'its name; default: one by chance')
    .option('--entrypoint <program>', "instead of the image's; empty: none")
    .option('--init', 'begin with a small program that hands on signals and buries processes')
    .option('-h, --hostname <name>', 'its host name')
    .option('--domainname <name>', 'its domain');
  namespaceFlags(command);
  fileFlags(command);
  limitFlags(command);
  securityFlags(command);
  command
    .option('-l, --label <key=value>', 'label', collect, [])
    .option('--label-file <file>', 'labels from a file, a line each', collect, [])
    .option('--annotation <key=value>', 'for the OCI runtime', collect, [])
    .option('--expose <port>', 'a port that it listens on, e.g. 80 or 53/udp', collect, [])
    .option('-p, --publish <ports>', 'only with --network host, where ports are', collect, [])
    .option('-P, --publish-all', 'the same of all')
    .option('--add-host <name:address>', 'line in /etc/hosts', collect, [])
    .option('--dns <address>', 'name server', collect, [])
    .option('--dns-search <domain>', 'where names are looked for; . for nowhere', collect, [])
    .option('--dns-option <option>', 'of the resolver, e.g. ndots:2', collect, [])
    .option('--stop-signal <signal>', 'what `mica stop` sends first')
    .option('--stop-timeout <seconds>', 'how long `mica stop` waits; -1: for ever')
    .option('--no-healthcheck', 'an image that is committed of it has none; here none is run')
    .option('--restart <policy>', 'no, the only one')
    .option('--log-driver <driver>', 'json-file, the only one')
    .option('--log-opt <name=value>', 'max-size=10m, max-file=3', collect, [])
    .option('--cidfile <file>', 'write its ID to this new file')
    .option('--platform <os/arch>', 'of the image, if it has to be pulled');
  pullOption(command).option('-q, --quiet', 'say nothing of the pull');
  // docker's older names.
  command
    .addOption(new Option('--net <mode>').hideHelp())
    .addOption(new Option('--dns-opt <option>').argParser(collect).default([]).hideHelp());
}

const fileFlags = (command: Command): Command =>
  command
    .option('--read-only', 'the root file system cannot be written')
    .option(
      '-v, --volume <from:to>',
      'mount a directory or file of this machine: FROM:TO[:ro]; PATH alone: declare a volume',
      collect,
      [],
    )
    .option(
      '--mount <options>',
      'type=bind,source=…,target=…[,readonly] or type=tmpfs,target=…',
      collect,
      [],
    )
    .option('--tmpfs <path>', 'mount a tmpfs: PATH[:size=64m,…]', collect, [])
    .option('--shm-size <bytes>', 'size of /dev/shm')
    .option('--storage-opt <option>', 'size=BYTES, where the driver can limit it', collect, [])
    .option('--device <path>', 'a device of this machine: HERE[:THERE][:rwm]', collect, [])
    .option('--device-cgroup-rule <rule>', 'devices it may use: "c 189:* rmw"', collect, []);

const securityFlags = (command: Command): Command =>
  command
    .option('--group-add <group>', 'further groups of the user', collect, [])
    .option('--cap-add <capability>', 'add a capability, or ALL', collect, [])
    .option('--cap-drop <capability>', 'drop a capability, or ALL', collect, [])
    .option(
      '--security-opt <option>',
      'no-new-privileges, seccomp=FILE, seccomp=unconfined, systempaths=unconfined',
      collect,
      [],
    )
    .option(
      '--sysctl <name=value>',
      "kernel parameter of the container's own namespaces",
      collect,
      [],
    );
