/**
 * The list of apps to try (apps.json, or a file of whoever runs it): which public repository at which commit, what of it is pushed and how, and what it must
 * answer. No app's text is part of this repository: README.md shows the list's form.
 */
import { readFile } from 'node:fs/promises';
import { CAUSE_CODES } from '@cupola/model/causes';
import { z } from 'zod';

const code = z.enum(CAUSE_CODES);

const triedApp = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]+$/),
  language: z.string(),
  /** `OWNER/NAME` on GitHub. */
  repository: z.string().regex(/^[\w.-]+\/[\w.-]+$/),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  /** What of the repository is pushed. */
  folder: z.string().default('.'),
  /** Of the manifest that it is pushed with: memory, env, buildpacks, command. "own": the manifest.yml of the folder. */
  manifest: z.union([z.literal('own'), z.record(z.string(), z.json())]).default({}),
  /** An answer over the router, or, of what serves no requests, a line of its log. */
  expect: z.union([
    z.strictObject({ path: z.string().default('/'), status: z.int().default(200), text: z.string() }),
    z.strictObject({ log: z.string() }),
  ]),
  /** Cannot run here, for this cause; then nothing is asked. */
  fails: code.exactOptional(),
  note: z.string().exactOptional(),
});

/** What is changed in an app, so that it breaks as people break it. */
const edit = z.union([
  z.strictObject({ write: z.string(), text: z.string() }),
  z.strictObject({ replace: z.string(), from: z.string(), to: z.string() }),
  z.strictObject({ remove: z.string() }),
]);

const triedDrill = z.strictObject({
  name: z.string(),
  /** One of the apps. */
  app: z.string(),
  edits: z.array(edit).default([]),
  /** Laid over the app's own. */
  manifest: z.record(z.string(), z.json()).default({}),
  code,
  /** A regular expression: what the push has to say. */
  shows: z.string(),
  /** The one command that it has to name, with the app's name as APP. */
  next: z.string(),
});

const list = z.strictObject({ apps: z.array(triedApp), drills: z.array(triedDrill).default([]) });

export type TriedApp = z.infer<typeof triedApp>;
export type TriedDrill = z.infer<typeof triedDrill>;
export type Edit = z.infer<typeof edit>;

/** @throws when the file is none, or says something that nothing reads. */
export async function readList(file: string): Promise<{ apps: TriedApp[]; drills: TriedDrill[] }> {
  return list.parse(JSON.parse(await readFile(file, 'utf8')));
}
