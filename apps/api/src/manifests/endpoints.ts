import { manifestDiff } from '@cupola/contract/v3/manifest';
import { ForbiddenError, InvalidRequestError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { stringify } from 'yaml';
import { z } from 'zod';
import { holdsInSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { seenApp } from '../apps/find-app.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { named } from '../pages/filters.ts';
import { optionRules } from '../routes/route-options.ts';
import { type SpaceRow, seenSpace } from '../spaces/find-space.ts';
import { type Applied, applyManifestApp } from './apply-manifest.ts';
import { diffManifestApp } from './diff-manifest.ts';
import { presentAppsAsManifests } from './present-apps.ts';
import { type ReadApplication, readApplications } from './read-applications.ts';

const YAML_TYPE = 'application/x-yaml';

/** The space that a manifest is for, if the actor may push to it. @throws NotFoundError, ForbiddenError */
async function writableSpace(db: Kysely<Database>, actor: Actor, guid: string): Promise<SpaceRow> {
  const space = await seenSpace(db, actor, guid);
  requireDeveloper(actor, { spaceGuid: space.guid, organizationGuid: space.organization_guid }, 'Space');
  return space;
}

/** Who may not push learns nothing of what is wrong with a manifest. @throws InvalidRequestError for JSON */
async function readManifest(
  { store }: ApiDeps,
  { actor, params, body, raw }: ApiRequest<unknown, string>,
): Promise<{ space: SpaceRow; applications: ReadApplication[] }> {
  const space = await writableSpace(store.read, actor, params.guid ?? '');
  if (!/\byaml\b/i.test(raw.request.headers['content-type'] ?? ''))
    throw new InvalidRequestError('Bad request: Content-Type must be yaml');
  return { space, applications: await readApplications(body, await optionRules(store.read)) };
}

interface Applying {
  readonly actor: Actor;
  readonly spaceGuid: string;
  readonly applications: readonly ReadApplication[];
  readonly onlyApp: string | null;
}

/** All of them or none: one transaction. */
async function apply(
  mutation: Mutation,
  deps: ApiDeps,
  { actor, spaceGuid, applications, onlyApp }: Applying,
): Promise<{ applied: Applied[]; job: string }> {
  const space = await writableSpace(mutation.db, actor, spaceGuid);
  const applied: Applied[] = [];
  for (const { app: manifest } of applications)
    applied.push(await applyManifestApp(mutation, deps, { actor, space, manifest, onlyApp }));
  const warnings = [...new Set(applied.flatMap(one => one.warnings))];
  const about = { operation: 'space.apply_manifest', resourceGuid: space.guid, actor, warnings };
  return { applied, job: await finishedJob(mutation, about) };
}

/** What is in the space under the names of a manifest, as manifests; by the name in lower case. */
async function readExisting(deps: ApiDeps, space: SpaceRow, names: readonly string[]) {
  const apps = await inChunks(names, some =>
    deps.store.read
      .selectFrom('apps')
      .selectAll()
      .where('space_guid', '=', space.guid)
      .where(named('name', some))
      .execute(),
  );
  const shown = await presentAppsAsManifests(deps, apps);
  return new Map(apps.map(app => [app.name.toLowerCase(), shown.get(app.guid) ?? null]));
}

export const manifestEndpoints: Endpoint[] = [
  endpoint({
    method: 'POST',
    path: '/v3/spaces/:guid/actions/apply_manifest',
    summary: 'Make or change the apps of a manifest (YAML), all of them or none',
    body: 'yaml',
    // Not Cloud Foundry's: by it nothing is made, and nothing changed but that app (pushes by git, which have found it before).
    query: z.looseObject({ app_guid: z.string().exactOptional() }),
    bodySchema: z.string(),
    handle: async (deps, request) => {
      const { space, applications } = await readManifest(deps, request);
      const { actor, query } = request;
      const onlyApp = query.app_guid ?? null;
      const { applied, job } = await deps.store.mutate(mutation =>
        apply(mutation, deps, { actor, spaceGuid: space.guid, applications, onlyApp }),
      );
      for (const { app, lines } of applied) await logApi(deps, app.guid, ...lines);
      return accepted(deps, job);
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/spaces/:guid/manifest_diff',
    summary: 'What applying a manifest (YAML) would change',
    body: 'yaml',
    bodySchema: z.string(),
    responseSchema: manifestDiff,
    handle: async (deps, request) => {
      const { space, applications } = await readManifest(deps, request);
      const names = applications.map(({ app }) => app.name);
      const existing = await readExisting(deps, space, names);
      const diff = applications.flatMap(({ app, sent }, index) =>
        diffManifestApp(index, sent, existing.get(app.name.toLowerCase()) ?? null),
      );
      return { status: 201, body: { diff } };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/manifest',
    summary: 'An app as a manifest (YAML) that would make it again',
    handle: async (deps, { actor, params }) => {
      const app = await seenApp(deps.store.read, actor, params.guid ?? '');
      if (!holdsInSpace(actor, app.space_guid, ['space_developer'])) throw new ForbiddenError();
      const shown = (await presentAppsAsManifests(deps, [app])).get(app.guid);
      const text = `---\n${stringify({ applications: [shown] })}`;
      return { status: 200, body: text, contentType: YAML_TYPE };
    },
  }),
];
