/** The manifest of a folder that is pushed from the browser: of one app, without variables. What needs more is for a CLI, which is said. */
import type { Chosen } from './read-files.ts';

/** @returns what apply_manifest takes, for an app called `name`. @throws Error with a sentence for the user. */
export async function manifestOf(chosen: Chosen, name: string): Promise<{ applications: object[] }> {
  const text = chosen.kind === 'folder' ? chosen.manifest : null;
  if (text === null) return { applications: [{ name, 'default-route': true }] };
  // Loaded with the first manifest.
  const { parse } = await import('yaml');
  return readManifest(parse(text, { maxAliasCount: 100 }), { name, text });
}

/** @throws Error with a sentence for the user. */
export function readManifest(
  parsed: unknown,
  { name, text }: { name: string; text: string },
): { applications: object[] } {
  const applications = (parsed as { applications?: unknown } | null)?.applications;
  if (!Array.isArray(applications) || applications.length !== 1)
    throw new Error('Its manifest has not exactly one app. Push it with a CLI: cupola push');
  if (/\(\(.+?\)\)/.test(text))
    throw new Error('Its manifest has variables. Push it with a CLI: cupola push --var NAME=VALUE');
  const { path = '.', ...app } = applications[0] as Record<string, unknown>;
  if (path !== '.' && path !== './')
    throw new Error(`Its manifest pushes ${String(path)}: choose that folder, or push with a CLI: cupola push`);
  const hasRoute = ['routes', 'no-route', 'random-route', 'default-route'].some(key => key in app);
  return { applications: [{ ...app, name, ...(hasRoute ? {} : { 'default-route': true }) }] };
}
