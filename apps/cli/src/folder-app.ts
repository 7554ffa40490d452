/** The app that a folder's manifest names, for commands that were not told which. */
import { existsSync } from 'node:fs';
import { usageError } from '@cupola/push/failures';
import { planManifest } from '@cupola/push/manifest/manifest';

/** @throws usage error when there is none, or more than one; `command` is how to say which. */
export function appOfFolder(command: string): string {
  const hasManifest = ['manifest.yml', 'manifest.yaml'].some(file => existsSync(file));
  const [one, ...others] = hasManifest ? planManifest(undefined, {}, process.cwd()).apps : [];
  if (one !== undefined && others.length === 0) return one.name;
  throw usageError(
    one === undefined
      ? 'Which app? No manifest.yml here names one.'
      : `Which app? The manifest here names ${[one, ...others].map(({ name }) => name).join(', ')}.`,
    command,
  );
}
