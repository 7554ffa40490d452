/** What who writes a group should know: where it changes nothing. */
import type { RungReport } from '@cupola/contract/internal';
import { neverOpened, type SecurityRule } from '@cupola/model/egress';
import type { ApiDeps } from '../deps.ts';

const NOT_ENFORCED =
  'Security groups have no effect on this machine: apps share its network and reach what it reaches. Start Cupola as root, with iproute2 and nftables installed, to have them enforced.';

export async function groupWarnings(
  { store }: Pick<ApiDeps, 'store'>,
  rules: readonly SecurityRule[] = [],
): Promise<string[]> {
  const cells = await store.read.selectFrom('cells').select('rung_json').execute();
  const isOpen = cells.some(
    ({ rung_json }) => (JSON.parse(rung_json) as Partial<RungReport>).enforced?.egress === false,
  );
  const shut = [...new Set(rules.flatMap(neverOpened))];
  return [
    ...(isOpen ? [NOT_ENFORCED] : []),
    ...(shut.length === 0
      ? []
      : [
          `Apps do not reach ${shut.slice(0, 5).join(', ')} whatever a group says: loopback, link-local and metadata addresses stay shut.`,
        ]),
  ];
}
