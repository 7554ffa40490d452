/** Where apps share the network of their machine: nothing keeps them apart there, and they have no addresses of their own. */
import type { RungReport } from '@cupola/contract/internal';
import type { ApiDeps } from '../deps.ts';

const NEXT = 'Start Cupola as root, with iproute2 and nftables installed, to give each app a network of its own.';

export const NO_POLICIES = `Network policies have no effect on this machine: its apps share one network, where each reaches the others by their routes. ${NEXT}`;
export const NO_NAMES = `Names on internal domains lead nowhere on this machine: its apps share one network, where each reaches the others by their other routes. ${NEXT}`;

export async function isNetworkShared({ store }: Pick<ApiDeps, 'store'>): Promise<boolean> {
  const cells = await store.read.selectFrom('cells').select('rung_json').execute();
  return cells.some(({ rung_json }) => (JSON.parse(rung_json) as Partial<RungReport>).enforced?.net === false);
}
