/** What is done to a cell: the call of the API, and the operator's command on the platform's machine. cf has none. */
import type { ClusterCell } from '@cupola/contract/v3/cluster';
import { word } from '../app/commands.ts';
import type { Commands } from '../ui/action.tsx';

export function changeCell({ guid, name }: Pick<ClusterCell, 'guid' | 'name'>, action: 'drain' | 'activate'): Commands {
  const path = `/v3/cluster/cells/${guid}/actions/${action}`;
  return { cf: null, cupola: `cell ${action} ${word(name)}`, api: { method: 'POST', path } };
}
