/**
 * Blobs that no row names: of what was deleted, of uploads and builds that were cut short. A blob is stored before the row that names it is written, so the
 * young are left alone; and what looks like nobody's is looked up once more right before it goes.
 */
import type { Layer, RunSpec } from '@cupola/model/run-spec';
import type { SweepDeps } from './sweeper.ts';

/** An upload takes 900 s at most, a build as long (failure-rules.md section 4): what is older was not waiting for its row. */
const GRACE_MS = 3_600_000;
const BATCH = 200;

export async function sweepBlobs(deps: SweepDeps): Promise<number> {
  const { blobs, now } = deps;
  const needed = await readNeeded(deps);
  const orphans: string[] = [];
  for await (const { digest, storedAtMs } of blobs.list()) {
    if (storedAtMs >= now() - GRACE_MS || needed.has(digest)) continue;
    orphans.push(digest);
    if (orphans.length === BATCH) break;
  }
  if (orphans.length === 0) return 0;
  const neededNow = await readNeeded(deps);
  const removable = orphans.filter(digest => !neededNow.has(digest));
  // Not what somebody stores again at this moment.
  for (const digest of removable) await blobs.remove(digest, { unlessStoredSinceMs: now() - GRACE_MS });
  return removable.length;
}

/** Digests of packages, layers, toolchains, changes and known files. @throws when any of them cannot be read: then nothing is removed. */
async function readNeeded({ store, sealer }: SweepDeps): Promise<Set<string>> {
  const { read } = store;
  const packages = await read.selectFrom('packages').select('digest').where('digest', 'is not', null).execute();
  const resources = await read.selectFrom('resources').select('blob_digest').distinct().execute();
  const droplets = await read.selectFrom('droplets').select('layers_json').where('state', '=', 'STAGED').execute();
  const buildpacks = await read.selectFrom('buildpacks').select('digest').where('digest', 'is not', null).execute();
  const changes = await read.selectFrom('development_changes').select('digest').execute();
  const toolchains = await read.selectFrom('toolchains').select('layer_json').execute();
  // What runs, or may be started again by a crash or a scale, though its droplet was deleted.
  const specs = await read
    .selectFrom('run_specs')
    .select('spec_sealed')
    .where(({ or, eb }) =>
      or([
        eb('guid', 'in', read.selectFrom('processes').select('run_spec_guid').$castTo<{ run_spec_guid: string }>()),
        eb('guid', 'in', read.selectFrom('placements').select('run_spec_guid')),
      ]),
    )
    .execute();
  const layers = [
    ...droplets.flatMap(({ layers_json }) => JSON.parse(layers_json) as Layer[]),
    ...toolchains.map(({ layer_json }) => JSON.parse(layer_json) as Layer),
    ...specs.flatMap(({ spec_sealed }) => (JSON.parse(sealer.open(spec_sealed)) as Partial<RunSpec>).layers ?? []),
  ];
  return new Set([
    ...buildpacks.flatMap(({ digest }) => digest ?? []),
    ...packages.flatMap(({ digest }) => digest ?? []),
    ...resources.map(({ blob_digest }) => blob_digest),
    ...layers.map(({ digest }) => digest),
    ...changes.map(({ digest }) => digest),
  ]);
}
