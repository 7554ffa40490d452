/** Pushes by git: what an app does with them, and where one leads. An addition to Cloud Foundry. */
import { GIT_FAILURE_RULES, GIT_SUBMODULE_RULES, isBranchName } from '@cupola/model/git-rules';
import { z } from 'zod';
import { body } from './parts.ts';

const branch = z
  .string({ error: 'Branch must be a string' })
  .refine(isBranchName, { error: 'Branch must be the name of a branch, like main or release/2' });

export const gitSettings = z.object({
  /** Null: the branch that the first push names. */
  branch: z.string().nullable(),
  on_failure: z.enum(GIT_FAILURE_RULES),
  submodules: z.enum(GIT_SUBMODULE_RULES),
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
});

const named = z.object({ guid: z.string(), name: z.string() });

/** Of `ORG/SPACE/APP`, for who may push there. */
export const gitTarget = z.object({
  organization: named,
  space: named,
  /** The app's name; the app itself is null until the first push has made it. */
  name: z.string(),
  app: named.nullable(),
  settings: gitSettings,
});
export type GitTarget = z.infer<typeof gitTarget>;
