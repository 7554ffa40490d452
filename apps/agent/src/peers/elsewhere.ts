/**
 * Instances of other machines as those of this one see them: each has a stand-in, an address of this machine that its names lead to, and a door behind each
 * port of it that a policy opens, another such address, by which it is known what was dialled.
 */
import { type Distant, type Located, passagesOf } from '@cupola/model/peers';
import type { Door } from '@cupola/sandbox/network-rules';
import type { Networks } from '@cupola/sandbox/networks';
import type { Logger } from 'pino';
import { openStandIns } from './stand-ins.ts';
import type { Told } from './told.ts';

export interface Elsewhere {
  /** Those that have names, at their stand-ins. */
  located(): Located[];
  /** For what runs here now. Stand-ins and doors that nobody needs any more are free afterwards. */
  doors(here: readonly Located[]): Door[];
  /** What that door leads to. */
  behind(door: string): { to: Distant; port: number } | null;
}

interface Deps {
  told: Told;
  networks: Pick<Networks, 'standIns'>;
  cellId: string;
  doorPort(): number | null;
  file: string;
  log: Logger;
}

const doorKey = (guid: string, port: number): string => `${guid} ${port}`;

export function openElsewhere({ told, networks, cellId, doorPort, file, log }: Deps): Elsewhere {
  const standIns = openStandIns(file, networks.standIns);
  let wasFull = false;
  const distant = (): Distant[] =>
    [...told.instances().values()].filter(one => one.cellId !== cellId && told.cells().has(one.cellId));
  const named = (): Distant[] => {
    const apps = new Set([...told.names().routes.values()].flatMap(({ destinations }) => destinations.map(keyOf)));
    return distant().filter(one => one.processType !== null && apps.has(keyOf(one)));
  };
  const warn = (isFull: boolean): void => {
    if (isFull && !wasFull)
      log.warn(
        { addresses: networks.standIns.length },
        'instances of other machines are more than this machine has addresses for: apps here do not reach all of them',
      );
    wasFull = isFull;
  };
  return {
    located: () =>
      named().flatMap(one => {
        const address = standIns.of(one.guid);
        return address === null ? [] : [{ ...one, processType: one.processType ?? '', address }];
      }),
    doors: here => {
      const port = doorPort();
      if (port === null) return [];
      const passages = passagesOf(told.policies(), here, distant());
      standIns.keep(
        new Set([
          ...named().map(({ guid }) => guid),
          ...passages.flatMap(({ to, ports }) => [to.guid, ...ports.map(each => doorKey(to.guid, each))]),
        ]),
      );
      let isFull = false;
      const doors = passages.flatMap(({ from, to, ports }) =>
        ports.flatMap(each => {
          const [address, door] = [standIns.of(to.guid), standIns.of(doorKey(to.guid, each))];
          isFull ||= address === null || door === null;
          if (address === null || door === null) return [];
          return from.map(source => ({ from: source, to: address, port: each, door, doorPort: port }));
        }),
      );
      standIns.write();
      warn(isFull);
      return doors;
    },
    behind: door => {
      const [guid = '', port = ''] = (standIns.keyOf(door) ?? '').split(' ');
      const to = told.instances().get(guid);
      return to === undefined || port === '' ? null : { to, port: Number(port) };
    },
  };
}

const keyOf = ({ appGuid, processType }: { appGuid: string; processType: string | null }): string =>
  `${appGuid} ${processType}`;
