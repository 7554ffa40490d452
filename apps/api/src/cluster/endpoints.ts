/** The platform itself, for admins: what `cupola cells`, `cluster members` and `cell drain` tell and do on its machine, for the dashboard and for whoever is elsewhere. */
import { clusterAnswer, clusterCell } from '@cupola/contract/v3/cluster';
import { NotFoundError } from '@cupola/model/errors';
import { keptFreeBytes } from '@cupola/model/free-space';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { wishDrain } from './drain.ts';
import { presentCell, readCells, timeOrNull } from './read-cells.ts';

const MIB = 1024 * 1024;
const roles = z.array(z.string());

export const clusterEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/cluster',
    summary: 'The platform: its cells, its members, who leads, what is built and how full its disk is',
    responseSchema: clusterAnswer,
    handle: async (deps, { actor }) => {
      requireAdmin(actor);
      const [cells, members, scheduler, builds, disk] = await Promise.all([
        readCells(deps.store.read, null),
        readMembers(deps),
        readLeader(deps),
        readBuilds(deps),
        readDisk(deps),
      ]);
      const body = { version: deps.config.version, cells: cells.map(presentCell), members, scheduler, builds };
      return { status: 200, body: { ...body, disk_in_mb: disk } };
    },
  }),
  actOnCell('drain', 'Let what runs on a cell move away, and place nothing there', true),
  actOnCell('activate', 'Let a cell take apps again', false),
];

function actOnCell(action: 'drain' | 'activate', summary: string, drain: boolean): Endpoint {
  return endpoint({
    method: 'POST',
    path: `/v3/cluster/cells/:guid/actions/${action}`,
    summary,
    responseSchema: clusterCell,
    handle: async (deps, { actor, params }) => {
      requireAdmin(actor);
      const guid = params.guid ?? '';
      await deps.store.mutate(mutation => wishDrain(mutation, guid, drain));
      const [cell] = await readCells(deps.store.read, [guid]);
      if (cell === undefined) throw new NotFoundError('Cell');
      return { status: 200, body: presentCell(cell) };
    },
  });
}

async function readMembers({ store }: ApiDeps) {
  const rows = await store.read
    .selectFrom('members')
    .select(['id', 'host_name', 'roles_json', 'joined_at'])
    .where('removed_at', 'is', null)
    .orderBy('joined_at')
    .orderBy('id')
    .execute();
  return rows.map(({ id, host_name, roles_json, joined_at }) => ({
    id,
    host_name,
    roles: roles.parse(JSON.parse(roles_json)),
    joined_at: isoTime(joined_at),
  }));
}

async function readLeader({ store }: ApiDeps) {
  const lease = await store.read
    .selectFrom('leases')
    .select(['holder', 'fence'])
    .where('name', '=', 'scheduler')
    .executeTakeFirst();
  return { leader: lease?.holder ?? null, terms: lease?.fence ?? 0 };
}

/** Those that were begun by the end of an upload and not asked for yet are nobody's. */
async function readBuilds({ store }: ApiDeps) {
  const rows = await store.read
    .selectFrom('builds')
    .select(({ fn, eb }) => [
      eb('stager', 'is not', null).as('isHeld'),
      fn.countAll<number>().as('count'),
      fn.min('created_at').as('oldest'),
    ])
    .where('state', '=', 'STAGING')
    .where('adopted', '=', 1)
    .groupBy(({ eb }) => eb('stager', 'is not', null))
    .execute();
  const of = (isHeld: boolean) => rows.find(row => Boolean(row.isHeld) === isHeld);
  return {
    waiting: of(false)?.count ?? 0,
    staging: of(true)?.count ?? 0,
    oldest_waiting_since: timeOrNull(of(false)?.oldest ?? null),
  };
}

async function readDisk({ blobs }: ApiDeps) {
  const { totalBytes, freeBytes } = await blobs.space();
  const mib = (bytes: number): number => Math.min(Math.floor(bytes / MIB), Number.MAX_SAFE_INTEGER);
  return { total: mib(totalBytes), free: mib(freeBytes), kept_free: mib(keptFreeBytes(totalBytes)) };
}
