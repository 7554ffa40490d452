/** The `applications` of a manifest's text, each judged whole before anything is done (CF: space_manifests_controller.rb). */
import { UnprocessableError, UnprocessableListError } from '@cupola/model/errors';
import type { OptionRules } from '../routes/route-options.ts';
import { type ManifestApp, readManifestApp } from './manifest-app.ts';
import { parseManifestYaml } from './parse-yaml.ts';
import { isObject, type Raw } from './reader.ts';

/** Applications, their routes and processes. All of a manifest is one transaction, during which nobody else is served: 2 ms for each (measured; ours). */
const PARTS_MAX = 500;

export interface ReadApplication {
  app: ManifestApp;
  /** As it was sent. */
  sent: Raw;
}

/** @throws UnprocessableError, UnprocessableListError with an entry for each thing that is wrong, InvalidRequestError for what is no YAML. */
export async function readApplications(text: string, rules: OptionRules): Promise<ReadApplication[]> {
  const manifest = await parseManifestYaml(text);
  const { version, applications } = isObject(manifest) ? manifest : {};
  if (version !== undefined && version !== null && version !== 1)
    throw new UnprocessableError('Unsupported manifest schema version. Currently supported versions: [1].');
  if (!Array.isArray(applications) || applications.length === 0)
    throw new UnprocessableError("Cannot parse manifest with no 'applications' field.");
  const read = applications.map(sent => ({ ...readManifestApp(sent, rules), sent: isObject(sent) ? sent : {} }));
  const errors = read.flatMap((one, index) =>
    one.errors.map(error =>
      one.app.name === ''
        ? `For application at index ${index}: ${error}`
        : `For application '${one.app.name}': ${error}`,
    ),
  );
  if (errors.length > 0) throw new UnprocessableListError(errors);
  const parts = read.reduce((sum, { app }) => sum + 1 + app.processes.length + (app.routes.list?.length ?? 0), 0);
  if (parts > PARTS_MAX)
    throw new UnprocessableError(
      `The manifest has ${parts} applications, processes and routes; at most ${PARTS_MAX} are allowed. Split it.`,
    );
  return read;
}
