import { type FeatureFlagAnswer, featureFlagAnswer, updateFeatureFlag } from '@cupola/contract/v3/platform';
import { NotFoundError } from '@cupola/model/errors';
import type { Database, FeatureFlagsTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { requireAdmin } from '../access/access.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';
import { pageAsk, pageBody, pageQuery } from '../pages/page.ts';
import { FLAG_DEFAULTS, FLAG_NAMES, type FlagName } from './flags.ts';

type FlagRow = Selectable<FeatureFlagsTable>;

function present(name: FlagName, row: FlagRow | undefined, baseUrl: string): FeatureFlagAnswer {
  return {
    name,
    enabled: row === undefined ? FLAG_DEFAULTS[name] : row.enabled === 1,
    updated_at: row === undefined ? null : isoTime(row.updated_at),
    custom_error_message: row?.custom_error_message ?? null,
    links: { self: { href: `${baseUrl}/v3/feature_flags/${name}` } },
  };
}

function flagName(text: string | undefined): FlagName {
  const name = FLAG_NAMES.find(known => known === text);
  if (name === undefined) throw new NotFoundError('Feature flag');
  return name;
}

async function flagRow(db: Kysely<Database>, name: FlagName): Promise<FlagRow | undefined> {
  return db.selectFrom('feature_flags').selectAll().where('name', '=', name).executeTakeFirst();
}

export const flagEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/feature_flags',
    summary: 'What may be done here at all',
    query: z.strictObject({
      ...pageQuery,
      order_by: z.enum(['name', '+name', '-name'], { error: "Order by can only be: 'name'" }).exactOptional(),
    }),
    responseSchema: featureFlagAnswer,
    handle: async ({ store, config }, request) => {
      const ask = pageAsk(request.query);
      const rows = await store.read.selectFrom('feature_flags').selectAll().execute();
      const names = request.query.order_by === '-name' ? FLAG_NAMES.toReversed() : FLAG_NAMES;
      const resources = names.slice(ask.offset, ask.offset + ask.perPage).map(name =>
        present(
          name,
          rows.find(row => row.name === name),
          config.publicUrl,
        ),
      );
      return { status: 200, body: pageBody(request, ask, { total: names.length, resources }) };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/feature_flags/:name',
    summary: 'One feature flag',
    responseSchema: featureFlagAnswer,
    handle: async ({ store, config }, { params }) => {
      const name = flagName(params.name);
      return { status: 200, body: present(name, await flagRow(store.read, name), config.publicUrl) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/feature_flags/:name',
    summary: 'Switch a feature flag',
    bodySchema: updateFeatureFlag,
    responseSchema: featureFlagAnswer,
    handle: async ({ store, config }, { actor, params, body }) => {
      const name = flagName(params.name);
      requireAdmin(actor);
      const row = await store.mutate(async ({ db, now }) => {
        const before = await flagRow(db, name);
        const enabled = body.enabled ?? present(name, before, '').enabled;
        const changed: FlagRow = {
          name,
          enabled: enabled ? 1 : 0,
          custom_error_message:
            body.custom_error_message === undefined
              ? (before?.custom_error_message ?? null)
              : body.custom_error_message,
          updated_at: now,
        };
        await db
          .insertInto('feature_flags')
          .values(changed)
          .onConflict(conflict => conflict.column('name').doUpdateSet(changed))
          .execute();
        return changed;
      });
      return { status: 200, body: present(name, row, config.publicUrl) };
    },
  }),
];
