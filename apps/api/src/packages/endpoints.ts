import { randomUUID } from 'node:crypto';
import { createPackage as createBody, packageAnswer, updatePackage } from '@cupola/contract/v3/package';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { z } from 'zod';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { appScope, findApp, type ScopedApp, seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { accepted } from '../http/replies.ts';
import { finishedJob } from '../jobs/jobs.ts';
import { labelSelectorCondition } from '../metadata/label-selector.ts';
import { deleteMetadata, NO_METADATA, readMetadata, writeMetadata } from '../metadata/metadata.ts';
import { among, type Condition, commonConditions, listQuery, orderBy } from '../pages/filters.ts';
import { listRows } from '../pages/list.ts';
import { commaList, pageBody } from '../pages/page.ts';
import { type Scope, scopeOf } from '../pages/scope.ts';
import { changeLogin, readDockerPackage, requireSameKind } from './docker-package.ts';
import { type PackageRow, seenPackage, writablePackage } from './find-package.ts';
import { presentPackage } from './present-package.ts';
import { type UploadedPackage, uploadChanges, uploadPackage } from './upload.ts';

const filters = {
  ...listQuery,
  states: commaList.exactOptional(),
  types: commaList.exactOptional(),
  order_by: orderBy(),
};
const query = z.strictObject({
  ...filters,
  app_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  organization_guids: commaList.exactOptional(),
});
type ListQuery = z.output<typeof query>;
async function presentPackages({ store, config }: ApiDeps, rows: readonly PackageRow[]) {
  const metadata = await readMetadata(
    store.read,
    'package',
    rows.map(({ guid }) => guid),
  );
  return rows.map(row => presentPackage(row, metadata.get(row.guid) ?? NO_METADATA, config.publicUrl));
}

/** The package, with what only an upload's answer says: which content came. By it our CLI knows that it may send changes to this package next time. */
async function uploadedReply(deps: ApiDeps, { row, sentChecksum }: UploadedPackage): Promise<Reply> {
  const [shown] = await presentPackages(deps, [row]);
  const data = { ...shown?.data, sent: { type: 'sha256', value: sentChecksum } };
  return { status: 200, body: { ...shown, data } };
}

async function list(
  deps: ApiDeps,
  request: ApiRequest<ListQuery, undefined>,
  { within = [], scope }: { within?: Condition[]; scope?: Scope },
): Promise<Reply> {
  const asked = request.query;
  const conditions = [
    ...within,
    ...commonConditions('packages', asked),
    ...(asked.states === undefined ? [] : [among('packages.state', asked.states)]),
    ...(asked.types === undefined ? [] : [among('packages.type', asked.types)]),
    ...(asked.app_guids === undefined ? [] : [among('packages.app_guid', asked.app_guids)]),
    ...(asked.label_selector === undefined
      ? []
      : [labelSelectorCondition('package', 'packages.guid', asked.label_selector)]),
  ];
  const { ask, total, rows, after } = await listRows(deps.store.read, 'packages', asked, {
    conditions,
    ...(scope === undefined ? {} : { scope }),
  });
  return { status: 200, body: pageBody(request, ask, { total, resources: await presentPackages(deps, rows), after }) };
}

async function appOfNew({ db }: Mutation, actor: Actor, guid: string): Promise<ScopedApp> {
  const app = await findApp(db, guid);
  if (app === undefined || !maySeeSpace(actor, appScope(app)))
    throw new UnprocessableError('App is invalid. Ensure it exists and you have access to it.');
  requireDeveloper(actor, appScope(app), 'App');
  return app;
}

async function insertPackage({ db, now, changed }: Mutation, app: ScopedApp, like: Partial<PackageRow>) {
  const row: PackageRow = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    type: 'bits',
    state: 'AWAITING_UPLOAD',
    digest: null,
    size_bytes: null,
    error: null,
    docker_image: null,
    docker_username: null,
    docker_password_sealed: null,
    ...like,
  };
  await db.insertInto('packages').values(row).execute();
  changed('package', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return row;
}

/** What a copy shares with its source: the same pack, at once. */
async function sourceOf({ db }: Mutation, actor: Actor, guid: string): Promise<Partial<PackageRow>> {
  const { row, app } = await seenPackage(db, actor, guid).catch((error: unknown) => {
    if (error instanceof NotFoundError)
      throw new UnprocessableError('Unable to create package: the source does not exist, or you have no access to it.');
    throw error;
  });
  requireDeveloper(actor, appScope(app), 'Package');
  if (row.state !== 'READY') throw new UnprocessableError('Unable to create package: the source is not READY.');
  // An image goes without its login, as in CF (package_copy.rb): whoever copies it may not be who has that.
  const { type, digest, size_bytes, docker_image } = row;
  return { type, state: 'READY', digest, size_bytes, docker_image };
}

async function createPackage(
  deps: ApiDeps,
  { actor, body, query: { source_guid } }: ApiRequest<{ source_guid?: string }, z.output<typeof createBody>>,
): Promise<PackageRow> {
  const docker = body.type === 'docker' ? readDockerPackage(deps, body.data) : null;
  if (body.type === undefined && source_guid === undefined)
    throw new UnprocessableError("Type must be one of 'bits, docker'");
  return deps.store.mutate(async mutation => {
    const app = await appOfNew(mutation, actor, body.relationships.app.data.guid);
    const like = source_guid === undefined ? (docker ?? {}) : await sourceOf(mutation, actor, source_guid);
    requireSameKind(app, like.type ?? 'bits');
    const row = await insertPackage(mutation, app, like);
    await writeMetadata(mutation, 'package', row.guid, body.metadata);
    await recordAppEvent(mutation, { actor, app, type: 'package.create', data: { package_guid: row.guid } });
    return row;
  });
}

export const packageEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/packages',
    summary: 'Packages that the asker may see',
    query,
    responseSchema: packageAnswer,
    handle: async (deps, request) => {
      const scope = await scopeOf(deps.store.read, request.actor, { asked: request.query });
      return list(deps, request, { scope });
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/apps/:guid/packages',
    summary: 'Packages of an app',
    query: z.strictObject(filters),
    responseSchema: packageAnswer,
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '');
      return list(deps, request, { within: [among('packages.app_guid', [app.guid])] });
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/packages',
    summary: 'Make a package for bits to come or of an image, or copy one',
    query: z.strictObject({ source_guid: z.string().exactOptional() }),
    bodySchema: createBody,
    responseSchema: packageAnswer,
    handle: async (deps, request) => {
      const row = await createPackage(deps, request);
      deps.holds.own(request, 'package', row.guid);
      return { status: 201, body: (await presentPackages(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/packages/:guid',
    summary: 'One package',
    responseSchema: packageAnswer,
    handle: async (deps, request) => {
      const guid = request.params.guid ?? '';
      const { row } = await deps.holds.wait(request, {
        kind: 'package',
        guid,
        concerns: (kind, changed) => kind === 'package' && changed === guid,
        read: () => seenPackage(deps.store.read, request.actor, guid),
        isFinal: ({ row: { state } }) => state === 'READY' || state === 'FAILED' || state === 'EXPIRED',
      });
      return { status: 200, body: (await presentPackages(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/v3/packages/:guid/upload',
    summary: "Send a package's bits, as a zip, and name those that are here already",
    auth: 'upload',
    body: 'multipart',
    responseSchema: packageAnswer,
    handle: async (deps, request) => uploadedReply(deps, await uploadPackage(deps, request)),
  }),
  endpoint({
    method: 'POST',
    path: '/v3/packages/:guid/upload_changes',
    summary:
      'Send what differs from an earlier package of the app: its name and what does not stay, as `base`, beside the parts of an upload',
    auth: 'upload',
    body: 'multipart',
    responseSchema: packageAnswer,
    handle: async (deps, request) => uploadedReply(deps, await uploadChanges(deps, request)),
  }),
  endpoint({
    method: 'GET',
    path: '/v3/packages/:guid/download',
    summary: "A package's bits as a zip",
    handle: async (deps, { actor, params }) => {
      const { row } = await writablePackage(deps.store.read, actor, params.guid ?? '');
      if (row.state !== 'READY' || row.digest === null)
        throw new UnprocessableError('Package has no bits to download.');
      const info = await deps.blobs.stat(row.digest);
      if (info === null) throw new NotFoundError('Package');
      return {
        status: 200,
        body: await deps.blobs.openVerified(info.digest),
        contentType: 'application/zip',
        headers: { 'Content-Length': String(info.sizeBytes) },
      };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/packages/:guid',
    summary: "Label a package, or change the login of an image's registry",
    bodySchema: updatePackage,
    responseSchema: packageAnswer,
    handle: async (deps, { actor, params, body }) => {
      const row = await deps.store.mutate(async mutation => {
        const found = await writablePackage(mutation.db, actor, params.guid ?? '');
        await writeMetadata(mutation, 'package', found.row.guid, body.metadata);
        return changeLogin(mutation, deps, found.row, body);
      });
      return { status: 200, body: (await presentPackages(deps, [row]))[0] };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/v3/packages/:guid',
    summary: 'Delete a package',
    handle: async (deps, { actor, params }) => {
      const job = await deps.store.mutate(async mutation => {
        const { db, changed } = mutation;
        const { row, app } = await writablePackage(db, actor, params.guid ?? '');
        await db.deleteFrom('packages').where('guid', '=', row.guid).execute();
        await deleteMetadata(mutation, 'package', [row.guid]);
        changed('package', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
        await recordAppEvent(mutation, { actor, app, type: 'package.delete', data: { package_guid: row.guid } });
        return finishedJob(mutation, { operation: 'package.delete', resourceGuid: row.guid, actor });
      });
      return accepted(deps, job);
    },
  }),
];
