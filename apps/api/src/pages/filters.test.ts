import { anApp, anOrganization, aSpace, openTestStore } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import type { Actor } from '../access/actor.ts';
import { type Condition, EVERY_ROW, inSeenSpace, ofApps, type Way } from './filters.ts';
import { listRows } from './list.ts';

const actor = (some: Partial<Actor>): Actor => ({
  kind: 'user',
  guid: 'u',
  name: 'u',
  origin: 'uaa',
  isAdmin: false,
  tokenId: 't',
  roles: [],
  suspendedOrganizationGuids: [],
  ...some,
});

test.each<Way>(['sought', 'walked'])('inSeenSpace() finds the same apps when they are %s', async way => {
  await using opened = await openTestStore();
  const { store } = opened;
  const organization_guid = (await anOrganization(store)).guid;
  const own = await aSpace(store, { organization_guid });
  const other = await aSpace(store, { organization_guid });
  const app = await anApp(store, { space_guid: own.guid });
  await anApp(store, { space_guid: other.guid });
  const developer = actor({
    roles: [{ type: 'space_developer', organizationGuid: organization_guid, spaceGuid: own.guid }],
  });
  const conditions = [inSeenSpace(developer, 'apps.space_guid', way)];
  const { rows, total } = await listRows(store.read, 'apps', {}, { conditions });
  expect({ guids: rows.map(({ guid }) => guid), total }).toEqual({ guids: [app.guid], total: 1 });
});

test('of an admin nothing is asked, by apps neither', () => {
  const seen: Condition = inSeenSpace(actor({ isAdmin: true }), 'apps.space_guid');
  expect([seen, ofApps('processes.app_guid', [seen])]).toEqual([EVERY_ROW, EVERY_ROW]);
});
