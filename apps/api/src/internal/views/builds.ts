/** Builds that stagers hold: who holds one sees here that it was cancelled, or that it is gone. */
import type { BuildItem } from '@cupola/contract/internal';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../live-view.ts';
import type { Entry } from '../view-entries.ts';
import { inChunks } from './in-chunks.ts';

export function buildsView({ store }: Pick<ApiDeps, 'store'>): View {
  // Cancelled ones stay in when they have ended: their stager may not have been told yet.
  const query = () =>
    store.read
      .selectFrom('builds')
      .select(['guid', 'fence', 'cancelled'])
      .where(({ or, eb }) => or([eb('state', '=', 'STAGING'), eb('cancelled', '=', 1)]));
  const toEntry = ({ guid, fence, cancelled }: { guid: string; fence: number; cancelled: 0 | 1 }): Entry => {
    const item: BuildItem = { guid, fence, cancel: cancelled === 1 };
    return { guid, audience: null, text: JSON.stringify(item), dueAtMs: null };
  };
  return {
    all: async () => (await query().execute()).map(toEntry),
    some: guids => inChunks(guids, async some => (await query().where('guid', 'in', some).execute()).map(toEntry)),
    concerned: async changes => changes.filter(({ kind }) => kind === 'build').map(({ guid }) => guid),
  };
}
