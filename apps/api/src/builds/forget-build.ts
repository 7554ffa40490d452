import type { Mutation } from '@cupola/store/store';

/** A build that nobody has asked for goes, with the droplet it may have made: neither was ever visible. Its layers are the blob sweeper's. */
export async function forgetBuild({ db, changed }: Mutation, buildGuid: string): Promise<void> {
  const droplets = await db.deleteFrom('droplets').where('build_guid', '=', buildGuid).returning('guid').execute();
  for (const { guid } of droplets) changed('droplet', guid);
  await db.deleteFrom('builds').where('guid', '=', buildGuid).execute();
  changed('build', buildGuid);
}
