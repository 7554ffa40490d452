/** Packages that are images: nothing is uploaded, so they are READY at once; the registry's password is sealed, and shown to nobody. */
import { dockerData } from '@cupola/contract/v3/package';
import { parseImage } from '@cupola/images/registry/reference';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import type { PackageRow } from './find-package.ts';

/** Of a body whose type is docker. @throws UnprocessableError in CF's words, and for what is no name of an image. */
export function readDockerPackage({ sealer }: Pick<ApiDeps, 'sealer'>, data: unknown): Partial<PackageRow> {
  const read = dockerData.safeParse(data ?? {});
  if (!read.success) throw new UnprocessableError(`Data ${read.error.issues.map(({ message }) => message).join(', ')}`);
  const { image, username, password } = read.data;
  if (parseImage(image) === null)
    throw new UnprocessableError(
      `Data Image "${image.slice(0, 200)}" is no name of an image: write HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, the name in lower case.`,
    );
  return {
    type: 'docker',
    state: 'READY',
    docker_image: image,
    docker_username: username ?? null,
    docker_password_sealed: password == null ? null : sealer.seal(password),
  };
}

/** @throws UnprocessableError in CF's words. */
export function requireSameKind({ lifecycle_type }: ScopedApp, type: PackageRow['type']): void {
  if (type === 'bits' && lifecycle_type === 'docker')
    throw new UnprocessableError('Cannot create bits package for a Docker app.');
  if (type === 'docker' && lifecycle_type !== 'docker')
    throw new UnprocessableError('Cannot create Docker package for a buildpack app.');
}

/** Who rotates a password keeps the package: the next staging uses the new one. */
export async function changeLogin(
  { db, now, changed }: Mutation,
  { sealer }: Pick<ApiDeps, 'sealer'>,
  row: PackageRow,
  { username, password }: { username?: string; password?: string },
): Promise<PackageRow> {
  if (username === undefined && password === undefined) return row;
  if (row.type !== 'docker') throw new UnprocessableError('Cannot update Docker credentials for a buildpack app.');
  const login = {
    ...(username === undefined ? {} : { docker_username: username }),
    ...(password === undefined ? {} : { docker_password_sealed: sealer.seal(password) }),
    updated_at: now,
  };
  await db.updateTable('packages').set(login).where('guid', '=', row.guid).execute();
  changed('package', row.guid);
  return { ...row, ...login };
}
