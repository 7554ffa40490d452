/** Push events of GitHub, GitLab, Gitea and Forgejo that deploy an app: how one is set up, and what of an event is read. An addition to Cloud Foundry. */

import { isBranchName } from '@cupola/model/git-rules';
import { z } from 'zod';
import { FORGES, gitRemote } from '../git-remote.ts';
import { body } from './parts.ts';

const TEXT_MAX = 2_048;
const secretText = z
  .string()
  .min(1)
  .max(TEXT_MAX)
  .regex(/^[\x21-\x7e]+$/, { error: 'must be one word of plain characters' });

export const putGitWebhook = body({
  repository_url: z.string({ error: 'Repository URL must be a string' }).refine(text => gitRemote(text) !== null, {
    error: 'Repository URL must be an https address without a login in it, like https://github.com/team/shop.git',
  }),
  branch: z
    .string({ error: 'Branch must be a string' })
    .refine(isBranchName, { error: 'Branch must be the name of a branch, like main or release/2' })
    .exactOptional(),
  /** Of the forge, for a repository that is not public, and for the status of commits. */
  login: z.object({ user: secretText, token: secretText }).exactOptional(),
});

export const gitWebhook = z.object({
  /** What the forge is to ask. */
  url: z.url(),
  repository_url: z.string(),
  branch: z.string(),
  has_login: z.boolean(),
  /** As whom it deploys. */
  user: z.string().nullable(),
  created_at: z.string(),
});
/** The secret is told once. */
export const madeGitWebhook = gitWebhook.extend({ secret: z.string() });

/** Of a push event, alike in all forges (docs.github.com "Webhook events and payloads: push", docs.gitlab.com "Webhook events: push events", docs.gitea.com "Webhooks"). */
export const forgePush = z.object({ ref: z.string(), after: z.string().regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/) });

/** From the API to git's part: fetch that branch, and deploy it. */
export const fetchOrder = z.object({
  organization: z.string(),
  space: z.string(),
  app: z.string(),
  url: z.string(),
  branch: z.string().refine(isBranchName),
  /** Which the forge has told of. */
  commit: z.string(),
  forge: z.enum(FORGES),
  login: z.object({ user: z.string(), token: z.string() }).nullable(),
});
export type FetchOrder = z.infer<typeof fetchOrder>;

export const FETCH_OUTCOMES = ['deployed', 'failed', 'overtaken'] as const;
export type FetchOutcome = (typeof FETCH_OUTCOMES)[number];
/** What it answers, a line of JSON each. */
export const fetchLine = z.union([z.object({ say: z.string() }), z.object({ outcome: z.enum(FETCH_OUTCOMES) })]);
