/** Feature flags: CF's names and defaults (CF: feature_flag.rb); the store has those that somebody has set. */
import { ForbiddenError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import type { Actor } from '../access/actor.ts';

export const FLAG_DEFAULTS = {
  app_bits_upload: true,
  app_scaling: true,
  diego_cnb: false,
  /** CF's is false: there an image runs as root of its container. Here it has the sandbox of every other app (docs/decisions/0029). */
  diego_docker: true,
  env_var_visibility: true,
  hash_based_routing: false,
  hide_marketplace_from_unauthenticated_users: false,
  private_domain_creation: true,
  resource_matching: true,
  route_creation: true,
  route_sharing: false,
  service_instance_creation: true,
  service_instance_sharing: false,
  set_roles_by_username: true,
  space_developer_env_var_visibility: true,
  space_scoped_private_broker_creation: true,
  task_creation: true,
  unset_roles_by_username: true,
  user_org_creation: false,
} as const satisfies Record<string, boolean>;
export type FlagName = keyof typeof FLAG_DEFAULTS;
export const FLAG_NAMES = Object.keys(FLAG_DEFAULTS) as FlagName[];

export async function isFlagOn(db: Kysely<Database>, name: FlagName): Promise<boolean> {
  const row = await db.selectFrom('feature_flags').select('enabled').where('name', '=', name).executeTakeFirst();
  return row === undefined ? FLAG_DEFAULTS[name] : row.enabled === 1;
}

/** What an admin's being one does not open either (CF: feature_flag.rb, ADMIN_SKIPPABLE). */
const FOR_ALL: readonly FlagName[] = ['diego_docker'];

/** Admins pass, as CF lets them. @throws ForbiddenError in the words that an admin has given the flag, or CF's. */
export async function requireFlag(db: Kysely<Database>, actor: Actor, name: FlagName): Promise<void> {
  if (actor.isAdmin && !FOR_ALL.includes(name)) return;
  const row = await db
    .selectFrom('feature_flags')
    .select(['enabled', 'custom_error_message'])
    .where('name', '=', name)
    .executeTakeFirst();
  if (row === undefined ? FLAG_DEFAULTS[name] : row.enabled === 1) return;
  throw new ForbiddenError(`Feature Disabled: ${row?.custom_error_message ?? name}`, 'FeatureDisabled');
}
