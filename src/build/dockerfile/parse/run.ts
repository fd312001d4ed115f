import { refused, shown, wrong } from '../failure.ts';
import type { Run } from '../instruction.ts';
import type { Pieces } from './pieces.ts';
import { commandForm, placeOf } from './operands.ts';

const NETWORKS = new Set(['default', 'none', 'host']);

export function parseRun(pieces: Pieces): Run {
  const { flags, logical, rest } = pieces;
  const place = placeOf(pieces);
  const network = flags.value('network');
  if (network !== undefined && !NETWORKS.has(network))
    throw wrong(place, `the network is ${shown(network)}, not default, none or host`);
  const security = flags.value('security');
  if (security !== undefined && security !== 'sandbox')
    throw refused(
      place,
      `RUN --security=${security} would run with the rights of the machine's root`,
    );
  const form = commandForm(pieces);
  if (rest === '' || (!form.shell && form.words.length === 0))
    throw wrong(place, 'RUN wants a command');
  return {
    kind: 'run',
    line: logical.line,
    source: logical.text,
    form,
    heredocs: form.shell ? logical.heredocs : [],
    mounts: flags.all('mount'),
    network,
  };
}
