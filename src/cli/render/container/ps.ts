import { configOf } from '../../../container/config.ts';
import type { ContainerInfo } from '../../../engine/containers/containers.ts';
import type { StoredImage } from '../../../engine/stored-image.ts';
import type { ContainerState } from '../../../runtime/state.ts';
import { Struct } from '../../template/value.ts';
import { ago, duration, size as sizeText } from '../quantity.ts';

/** One line of `mica ps`. */
export interface ContainerRow {
  readonly container: ContainerInfo;
  readonly image: StoredImage;
  /** Of the writable layer, in bytes; `undefined`: nobody has asked. */
  readonly size: number | undefined;
}

export const CONTAINER_HEADING: Struct = new Struct({
  Command: 'COMMAND',
  CreatedAt: 'CREATED AT',
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  Names: 'NAMES',
  Networks: 'NETWORKS',
  Ports: 'PORTS',
  RunningFor: 'CREATED',
  Size: 'SIZE',
  State: 'STATE',
  Status: 'STATUS',
});

export const isUp = ({ status }: ContainerState): boolean =>
  status === 'running' || status === 'paused' || status === 'starting';

/** docker cuts longer commands. */
const MAX_COMMAND = 20;

/** What `--format` templates see of a line. */
export function containerFields({ container, image, size }: ContainerRow, trunc: boolean): Struct {
  const { id, name, createdAt, settings, state } = container;
  const { labels = {}, options } = settings;
  const command = commandOf(container, image);
  const shown = trunc && command.length > MAX_COMMAND ? `${command.slice(0, 19)}…` : command;
  return new Struct(
    {
      Command: JSON.stringify(shown),
      CreatedAt: `${createdAt.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`,
      ID: trunc ? id.slice(0, 12) : id,
      Image: settings.imageName,
      Labels: Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      Mounts: (options.binds ?? []).map(({ source }) => source).join(','),
      Names: name,
      Networks: options.network ?? 'none',
      Ports: '',
      RunningFor: ago(createdAt),
      Size:
        size === undefined ? '0B' : `${sizeText(size)} (virtual ${sizeText(size + image.size)})`,
      State: state.status === 'starting' ? 'created' : state.status,
      Status: statusOf(state),
    },
    { type: 'container' },
  );
}

/** Entry point and command, as the container was or will be started. */
export function argsOf({ settings }: ContainerInfo, { config }: StoredImage): string[] {
  const { Entrypoint = [], Cmd = [] } = configOf(settings, config.config ?? {});
  return [...Entrypoint, ...Cmd].filter((word, at) => at > 0 || word !== '');
}

const commandOf = (container: ContainerInfo, image: StoredImage): string =>
  argsOf(container, image).join(' ');

/** In docker's words. */
export function statusOf(state: ContainerState, now: number = Date.now()): string {
  switch (state.status) {
    case 'created':
    case 'starting':
      return 'Created';
    case 'running':
      return `Up ${duration(now - Date.parse(state.startedAt))}`;
    case 'paused':
      return `Up ${duration(now - Date.parse(state.startedAt))} (Paused)`;
    case 'exited':
      return `Exited (${state.exitCode}) ${ago(new Date(state.finishedAt), new Date(now))}`;
    default:
      return state.running === undefined
        ? 'Dead'
        : `Dead (process ${state.running.process.pid} runs on)`;
  }
}

export const containerJson = ({ container, image, size }: ContainerRow): object => {
  const { id, name, createdAt, settings, state } = container;
  return {
    id,
    name,
    image: container.image,
    imageName: settings.imageName,
    command: argsOf(container, image),
    createdAt,
    state,
    labels: settings.labels ?? {},
    ...(size !== undefined && { size }),
  };
};
