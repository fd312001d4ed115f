import type { ContainerInfo } from '../../engine/containers/containers.ts';
import type { Engine } from '../../engine/engine.ts';
import { MicaError } from '../../errors.ts';
import { splitFilter } from './image-filter.ts';
import { labelFilter } from './label-filter.ts';

type Filter = (container: ContainerInfo) => boolean;

/** docker's `--filter KEY=VALUE`; those of one key are alternatives, different keys and all labels must hold. */
export async function parseContainerFilters(
  filters: readonly string[],
  engine: Engine,
): Promise<Filter> {
  const groups = new Map<string, Filter[]>();
  for (const text of filters) {
    const [key, value] = splitFilter(text);
    const group = key === 'label' ? text : key;
    groups.set(group, [...(groups.get(group) ?? []), await filterOf(key, value, engine)]);
  }
  return (container) => [...groups.values()].every((any) => any.some((one) => one(container)));
}

async function filterOf(key: string, value: string, engine: Engine): Promise<Filter> {
  switch (key) {
    case 'id':
      return ({ id }) => id.startsWith(value);
    case 'name':
      return nameFilter(value);
    case 'label':
      return labelled(value);
    case 'status':
      return statusFilter(value);
    case 'network':
      return ({ settings: { options } }) => (options.network ?? 'none') === value;
    case 'volume':
      return volumeFilter(value);
    case 'health':
      return () => value === 'none';
    case 'publish':
      return () => false;
    case 'exited':
      return ({ state }) => state.status === 'exited' && String(state.exitCode) === value;
    case 'ancestor': {
      const image = await engine.image(value);
      return (container) => container.image === image.id;
    }
    case 'before':
    case 'since': {
      const { createdAt } = await engine.containers.get(value);
      return (container) =>
        key === 'before' ? container.createdAt < createdAt : container.createdAt > createdAt;
    }
    default:
      throw new MicaError(
        'INVALID_ARGUMENT',
        `filter ${JSON.stringify(key)} is none of id, name, label, status, exited, ancestor, before, since, network, volume, health, publish`,
      );
  }
}

/** docker's: a regular expression that may match anywhere, `/` before the name allowed. */
function nameFilter(value: string): Filter {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value.replace(/^(\^?)\//, '$1'));
  } catch (error) {
    throw new MicaError('INVALID_ARGUMENT', `filter name=${value} is no regular expression`, {
      cause: error,
    });
  }
  return ({ name }) => pattern.test(name);
}

function labelled(value: string): Filter {
  const has = labelFilter(value);
  return ({ settings }) => has(settings.labels);
}

const STATUSES: ReadonlySet<string> = new Set(
  'created starting running paused exited dead restarting removing'.split(' '),
);

function statusFilter(value: string): Filter {
  if (STATUSES.has(value)) return ({ state }) => state.status === value;
  throw new MicaError(
    'INVALID_ARGUMENT',
    `filter status=${value} is none of ${[...STATUSES].join(', ')}`,
  );
}

/** By where it is on this machine, or in the container. */
function volumeFilter(value: string): Filter {
  return ({ settings: { options } }) =>
    (options.binds ?? []).some(({ source, target }) => source === value || target === value);
}
