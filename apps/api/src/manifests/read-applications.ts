/** The `applications` of a manifest's text, each judged whole before anything is done (CF: space_manifests_controller.rb). */
import { UnprocessableError, UnprocessableListError } from '@cupola/model/errors';
import { type ManifestApp, readManifestApp } from './manifest-app.ts';
import { parseManifestYaml } from './parse-yaml.ts';
import { isObject, type Raw } from './reader.ts';

export interface ReadApplication {
  app: ManifestApp;
  /** As it was sent. */
  sent: Raw;
}

/** @throws UnprocessableError, UnprocessableListError with an entry for each thing that is wrong, InvalidRequestError for what is no YAML. */
export async function readApplications(text: string): Promise<ReadApplication[]> {
  const manifest = await parseManifestYaml(text);
  const { version, applications } = isObject(manifest) ? manifest : {};
  if (version !== undefined && version !== null && version !== 1)
    throw new UnprocessableError('Unsupported manifest schema version. Currently supported versions: [1].');
  if (!Array.isArray(applications) || applications.length === 0)
    throw new UnprocessableError("Cannot parse manifest with no 'applications' field.");
  const read = applications.map(sent => ({ ...readManifestApp(sent), sent: isObject(sent) ? sent : {} }));
  const errors = read.flatMap((one, index) =>
    one.errors.map(error =>
      one.app.name === ''
        ? `For application at index ${index}: ${error}`
        : `For application '${one.app.name}': ${error}`,
    ),
  );
  if (errors.length > 0) throw new UnprocessableListError(errors);
  return read;
}
