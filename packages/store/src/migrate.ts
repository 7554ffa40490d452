import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { NewerSchemaError } from './errors.ts';
import * as foundation from './migrations/0001-foundation.ts';
import * as deploymentsAndTasks from './migrations/0002-deployments-tasks.ts';
import * as userProvidedServices from './migrations/0003-user-provided-services.ts';
import * as breadth from './migrations/0004-breadth.ts';
import * as cacheClearings from './migrations/0005-cache-clearings.ts';
import * as lists from './migrations/0006-b-lists.ts';
import * as canary from './migrations/0006-canary.ts';
import * as placesInPacks from './migrations/0006-places-in-packs.ts';
import * as networkPolicies from './migrations/0007-network-policies.ts';
import * as listedRows from './migrations/0008-lists.ts';
import * as cluster from './migrations/0009-cluster.ts';
import * as images from './migrations/0010-images.ts';
import * as cellSegments from './migrations/0011-cell-segments.ts';
import * as metrics from './migrations/0012-metrics.ts';
import * as git from './migrations/0013-git.ts';
import * as sshKeys from './migrations/0013-ssh-keys.ts';
import * as lastStager from './migrations/0014-last-stager.ts';
import * as authorizationCodes from './migrations/0015-authorization-codes.ts';
import * as writers from './migrations/0016-writers.ts';
import * as gitWebhooks from './migrations/0017-git-webhooks.ts';
import * as gitOrders from './migrations/0018-git-orders.ts';
import * as gitDeployKeys from './migrations/0020-git-deploy-keys.ts';
import * as gitPreviews from './migrations/0020-git-previews.ts';
import * as sshLogins from './migrations/0021-ssh-logins.ts';
import * as development from './migrations/0022-development.ts';
import type { Database } from './schema.ts';

/** All migrations, forward only. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-foundation': inNewEpoch(foundation),
  '0002-deployments-tasks': inNewEpoch(deploymentsAndTasks),
  '0003-user-provided-services': inNewEpoch(userProvidedServices),
  '0004-breadth': inNewEpoch(breadth),
  '0005-cache-clearings': inNewEpoch(cacheClearings),
  '0006-b-lists': inNewEpoch(lists),
  '0006-canary': inNewEpoch(canary),
  '0006-places-in-packs': inNewEpoch(placesInPacks),
  '0007-network-policies': inNewEpoch(networkPolicies),
  '0008-lists': inNewEpoch(listedRows),
  '0009-cluster': inNewEpoch(cluster),
  '0010-images': inNewEpoch(images),
  '0011-cell-segments': inNewEpoch(cellSegments),
  '0012-metrics': inNewEpoch(metrics),
  '0013-git': inNewEpoch(git),
  '0013-ssh-keys': inNewEpoch(sshKeys),
  '0014-last-stager': inNewEpoch(lastStager),
  '0015-authorization-codes': inNewEpoch(authorizationCodes),
  '0016-writers': inNewEpoch(writers),
  '0017-git-webhooks': inNewEpoch(gitWebhooks),
  '0018-git-orders': inNewEpoch(gitOrders),
  '0020-git-deploy-keys': inNewEpoch(gitDeployKeys),
  '0020-git-previews': inNewEpoch(gitPreviews),
  '0021-ssh-logins': inNewEpoch(sshLogins),
  '0022-development': inNewEpoch(development),
};

/**
 * Brings the schema to what this version knows, all in one transaction: a killed start leaves the former schema. Throws NewerSchemaError when the schema
 * is further than that, and writes nothing.
 */
export async function migrate(db: Kysely<unknown>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => MIGRATIONS },
    // Two that were written at the same time may reach a store in either order.
    allowUnorderedMigrations: true,
  });
  const { error } = await migrator.migrateToLatest();
  if (error === undefined) return;
  const newer = /previously executed migration (\S+) is missing/.exec(String(error))?.[1];
  throw newer === undefined ? error : new NewerSchemaError(newer);
}

/** What a watcher remembers of rows before a migration may have other columns now: its cursor ends with the epoch, in the same transaction. */
function inNewEpoch(migration: Migration): Migration {
  return {
    up: async (db: Kysely<Database>) => {
      await migration.up(db);
      const epoch = randomUUID();
      await db
        .insertInto('counter')
        .values({ id: 1, epoch, revision: 0 })
        .onConflict(conflict => conflict.column('id').doUpdateSet({ epoch }))
        .execute();
    },
  };
}
