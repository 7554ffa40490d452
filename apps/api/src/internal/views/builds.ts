/** Builds that are being staged, for stagers: who holds one sees here that it was cancelled. */
import type { BuildItem } from '@cupola/contract/internal';
import type { ApiDeps } from '../../deps.ts';
import type { View } from '../hub.ts';

export function buildsView({ store }: Pick<ApiDeps, 'store'>): View<BuildItem> {
  const query = () =>
    store.read
      .selectFrom('builds')
      .select(['guid', 'fence', 'cancelled', 'state'])
      .where(({ or, eb }) => or([eb('state', '=', 'STAGING'), eb('cancelled', '=', 1)]));
  type Row = Awaited<ReturnType<ReturnType<typeof query>['execute']>>[number];
  const toItem = ({ guid, fence, cancelled, state }: Row): BuildItem => ({
    guid,
    fence,
    cancel: cancelled === 1 || state !== 'STAGING',
  });
  return {
    name: 'builds',
    all: async () => (await query().execute()).map(toItem),
    some: async guids =>
      (
        await query()
          .where('guid', 'in', [...guids])
          .execute()
      ).map(toItem),
    concerned: async changes => changes.filter(({ kind }) => kind === 'build').map(({ guid }) => guid),
  };
}
