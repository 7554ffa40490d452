/** The image that an app runs, as a manifest names it (CF: app_manifest_message.rb). Its password is never in a manifest: clients send it with the package. */
import { isObject, type Reader } from './reader.ts';

export interface ManifestDocker {
  image: string;
}

/** Null: the manifest names none. */
export function readDocker({ raw, errors, asked }: Reader): ManifestDocker | null {
  if (!asked('docker') || raw.docker === null) return null;
  const { docker } = raw;
  if (isObject(docker) && typeof docker.image === 'string' && docker.image !== '') return { image: docker.image };
  errors.push('Docker must be an object with an image: docker: {image: HOST/NAME:TAG}');
  return null;
}
