/** Zips of the buildpacks that admins have added: fetched once, kept while the platform has them, shown read-only to the builds that may want them. */
import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BuildOrder } from '@cupola/contract/internal';
import type { InternalClient } from './internal-client.ts';

export interface BuildpackZip {
  name: string;
  file: string;
}

/** Those that this build asks for by name, or, when it asks for none, all that take part in detection. */
function wantedZips({ buildpacks, detectOrder, customBuildpacks = [] }: BuildOrder): typeof customBuildpacks {
  const names = buildpacks.length > 0 ? buildpacks : detectOrder;
  return customBuildpacks.filter(({ name }) => names.includes(name));
}

/** @throws Error when one comes with other bytes than its digest says. */
export async function fetchZips(
  client: Pick<InternalClient, 'openLayer'>,
  order: BuildOrder,
  folder: string,
): Promise<BuildpackZip[]> {
  const wanted = wantedZips(order);
  if (wanted.length === 0) return [];
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  // What a running build has mounted stays there for it.
  const known = new Set((order.customBuildpacks ?? []).map(({ digest }) => `${digest}.zip`));
  for (const name of await readdir(folder))
    if (!known.has(name) && name.endsWith('.zip')) await rm(join(folder, name), { force: true });
  return Promise.all(
    wanted.map(async ({ name, digest }) => {
      const file = join(folder, `${digest}.zip`);
      if (!existsSync(file)) await fetchZip(client, digest, file);
      return { name, file };
    }),
  );
}

async function fetchZip(client: Pick<InternalClient, 'openLayer'>, digest: string, file: string): Promise<void> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  // Two builds that want it at once each fetch it, and the second replaces it by the same.
  const beside = `${file}.${process.hrtime.bigint()}`;
  try {
    await pipeline(await client.openLayer(digest), hashing, createWriteStream(beside, { flags: 'wx', mode: 0o644 }));
    if (hash.digest('hex') !== digest) throw new Error('a buildpack came with other bytes than its digest says');
    await rename(beside, file);
  } finally {
    await rm(beside, { force: true });
  }
}
