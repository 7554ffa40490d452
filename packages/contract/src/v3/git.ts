/** Pushes by git: what an app does with them, and where one leads. An addition to Cloud Foundry. */
import { GIT_FAILURE_RULES, GIT_SUBMODULE_RULES, isBranchName } from '@cupola/model/git-rules';
import { PREVIEW_LIMITS, PREVIEW_RULES } from '@cupola/model/previews';
import { z } from 'zod';
import { body, wholeNumber } from './parts.ts';

const branch = z
  .string({ error: 'Branch must be a string' })
  .refine(isBranchName, { error: 'Branch must be the name of a branch, like main or release/2' });

export const gitSettings = z.object({
  /** Null: the branch that the first push names. */
  branch: z.string().nullable(),
  on_failure: z.enum(GIT_FAILURE_RULES),
  submodules: z.enum(GIT_SUBMODULE_RULES),
  /** What other branches, and pull requests, are. */
  previews: z.enum(PREVIEW_RULES),
  /** Without a push for so long: deleted. */
  preview_hours: z.number().int(),
  /** Variables of the app that previews of its own branches are given. */
  preview_variables: z.array(z.string()),
});
export type GitSettingsAnswer = z.infer<typeof gitSettings>;

export const updateGitSettings = body({
  branch: branch.nullable().exactOptional(),
  on_failure: z
    .enum(GIT_FAILURE_RULES, { error: `On failure must be one of '${GIT_FAILURE_RULES.join("', '")}'` })
    .exactOptional(),
  submodules: z
    .enum(GIT_SUBMODULE_RULES, { error: `Submodules must be one of '${GIT_SUBMODULE_RULES.join("', '")}'` })
    .exactOptional(),
  previews: z.enum(PREVIEW_RULES, { error: `Previews must be one of '${PREVIEW_RULES.join("', '")}'` }).exactOptional(),
  preview_hours: wholeNumber('Preview hours', { from: 1, to: PREVIEW_LIMITS.hoursMax }).exactOptional(),
  preview_variables: z
    .array(z.string({ error: 'Preview variables must be names' }), { error: 'Preview variables must be a list' })
    .max(PREVIEW_LIMITS.variablesMax, { error: `Preview variables are at most ${PREVIEW_LIMITS.variablesMax}` })
    .exactOptional(),
});

/** Makes the preview of a branch, or lets it live longer. */
export const putGitPreview = body({ branch });

export const gitPreview = z.object({
  /** Of the app that it is. */
  guid: z.string(),
  name: z.string(),
  /** A branch, or `#12`: a pull request of a fork. */
  source: z.string(),
  is_fork: z.boolean(),
  expires_at: z.string(),
  created_at: z.string(),
});
export type GitPreview = z.infer<typeof gitPreview>;
export const gitPreviews = z.object({ resources: z.array(gitPreview) });

const named = z.object({ guid: z.string(), name: z.string() });

/** Of `ORG/SPACE/APP`, for who may push there. */
export const gitTarget = z.object({
  organization: named,
  space: named,
  /** The app's name; the app itself is null until the first push has made it. */
  name: z.string(),
  app: named.nullable(),
  settings: gitSettings,
  /** Of which app it is a preview; null: it is none. */
  preview: z.object({ of: named, is_fork: z.boolean() }).nullable(),
});
export type GitTarget = z.infer<typeof gitTarget>;
