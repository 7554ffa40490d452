/** Packages for tests: an app, and uploads to it as the cf CLI sends them. */
import { createHash } from 'node:crypto';
import { type ForgedEntry, forgeZip } from '@cupola/archive/zip-fixtures';
import { anApp, aProcess } from '@cupola/store/fixtures';
import type { AppsTable } from '@cupola/store/schema';
import type { TestAnswer, TestApi } from '../fixtures.ts';

/** With a `web` process of 1 GB disk, as every app has. In the home space unless given. */
export async function anAppWithWeb(test: TestApi, given: Partial<AppsTable> = {}): Promise<AppsTable> {
  const { store } = test.deps;
  const app = await anApp(store, { space_guid: test.home.spaceGuid, ...given });
  await aProcess(store, { app_guid: app.guid, guid: app.guid });
  return app;
}

export interface OfferedFile {
  path: string;
  mode: string;
  checksum: { value: string };
  size_in_bytes: number;
}

/** A file as a client offers it for matching. */
export function offered(path: string, content: string, mode = '644'): OfferedFile {
  const value = createHash('sha1').update(content).digest('hex');
  return { path, mode, checksum: { value }, size_in_bytes: Buffer.byteLength(content) };
}

export interface Sent {
  token?: string;
  /** Entries of the zip, or its bytes. None: no `bits` part. */
  bits?: readonly ForgedEntry[] | Buffer;
  resources?: readonly unknown[] | string;
}

/** `POST /v3/packages/:guid/upload`. */
export function upload(test: TestApi, packageGuid: string, sent: Sent) {
  return uploadTo(test, `${packageGuid}/upload`, sent);
}

/** An upload to a path below `/v3/packages/`, with a `base` where it has one. */
export function uploadTo(
  test: TestApi,
  path: string,
  { token = test.admin, bits, resources, base }: Sent & { base?: unknown },
) {
  const form = new FormData();
  if (base !== undefined) form.append('base', JSON.stringify(base));
  if (resources !== undefined)
    form.append('resources', typeof resources === 'string' ? resources : JSON.stringify(resources));
  if (bits !== undefined) {
    const zip = Buffer.isBuffer(bits) ? bits : forgeZip(bits as readonly ForgedEntry[]);
    form.append('bits', new Blob([new Uint8Array(zip)]), 'package.zip');
  }
  return test.api('POST', `/v3/packages/${path}`, { token, form });
}

/** A new package of the app; its guid. */
export async function newPackage(test: TestApi, appGuid: string, token = test.admin): Promise<string> {
  const answer = await test.api('POST', '/v3/packages', {
    token,
    body: { type: 'bits', relationships: { app: { data: { guid: appGuid } } } },
  });
  return answer.body.guid;
}

/** A new package with these bits. */
export async function pushed(test: TestApi, appGuid: string, sent: Sent): Promise<TestAnswer> {
  return upload(test, await newPackage(test, appGuid, sent.token), sent);
}
