import type { PoolSessions } from './session.ts';
import type { Holding, State, Volume } from './state.ts';
import { mountedHolding, mountPointOf } from './trees.ts';
import { holdingOf } from './volumes.ts';

/** What a layer holds beyond what it showed when it was made. Nothing for one that has no volume. */
export async function ownHolding(sessions: PoolSessions, id: string): Promise<Holding> {
  const state = sessions.read();
  const volume = state?.layers[id];
  if (state === undefined || volume?.start === undefined) return { size: 0, inodes: 0 };
  const now = volume.end ?? mounted(state, id, volume) ?? (await unmounted(sessions, id));
  const { start } = volume;
  return {
    size: Math.max(0, now.size - start.size),
    inodes: Math.max(0, now.inodes - start.inodes),
  };
}

function mounted(state: State, id: string, { sectors }: Volume): Holding | undefined {
  const path = mountPointOf(state, id);
  return path === undefined ? undefined : mountedHolding(path, sectors);
}

const unmounted = (sessions: PoolSessions, id: string): Promise<Holding> =>
  sessions.use(async (session) => {
    const volume = session.state.layers[id];
    return volume === undefined ? { size: 0, inodes: 0 } : holdingOf(session, volume);
  });
