/** `fields[space]=guid,name`: parts of what a resource belongs to, in `included` (CF: fields_validator.rb and the field decorators). */
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { inChunks } from '../internal/views/in-chunks.ts';
import { among } from './filters.ts';

/** A list of `names`. */
export function fieldList(resource: string, names: readonly string[]) {
  return z
    .string()
    .transform(text => text.split(','))
    .refine(asked => asked.every(name => names.includes(name)), {
      error: `Fields valid keys for '${resource}' are: '${names.join("', '")}'`,
    })
    .exactOptional();
}

/** For resources that lie in spaces. */
export const spaceFields = {
  'fields[space]': fieldList('space', ['guid', 'name', 'relationships.organization']),
  'fields[space.organization]': fieldList('space.organization', ['name', 'guid']),
};

/** The parts of spaces and organizations that were asked for. */
export async function includedSpaceFields(
  db: Kysely<Database>,
  rows: ReadonlyArray<{ space_guid: string }>,
  query: { 'fields[space]'?: string[]; 'fields[space.organization]'?: string[] },
): Promise<Record<string, unknown[]>> {
  const { 'fields[space]': ofSpace, 'fields[space.organization]': ofOrganization } = query;
  if (ofSpace === undefined && ofOrganization === undefined) return {};
  const guids = [...new Set(rows.map(row => row.space_guid))];
  const spaces = await inChunks(guids, some =>
    db
      .selectFrom('spaces')
      .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
      .where(among('spaces.guid', some))
      .select(['spaces.guid', 'spaces.name', 'organization_guid', 'organizations.name as organization_name'])
      .orderBy('spaces.created_at')
      .orderBy('spaces.guid')
      .execute(),
  );
  const included: Record<string, unknown[]> = {};
  if (ofSpace !== undefined)
    included.spaces = spaces.map(({ guid, name, organization_guid }) => ({
      ...(ofSpace.includes('guid') ? { guid } : {}),
      ...(ofSpace.includes('name') ? { name } : {}),
      ...(ofSpace.includes('relationships.organization')
        ? { relationships: { organization: { data: { guid: organization_guid } } } }
        : {}),
    }));
  if (ofOrganization !== undefined) {
    const byGuid = new Map(spaces.map(space => [space.organization_guid, space.organization_name]));
    included.organizations = [...byGuid].map(([guid, name]) => ({
      ...(ofOrganization.includes('name') ? { name } : {}),
      ...(ofOrganization.includes('guid') ? { guid } : {}),
    }));
  }
  return included;
}
