/** Push events of GitHub, GitLab, Gitea and Forgejo that deploy an app: how one is set up, and what of an event is read. An addition to Cloud Foundry. */

import { isBranchName } from '@cupola/model/git-rules';
import { isFetchedRef } from '@cupola/model/previews';
import { z } from 'zod';
import { FORGES, gitRemote } from '../git-remote.ts';
import { body } from './parts.ts';

const TEXT_MAX = 2_048;
const secretText = z
  .string()
  .min(1)
  .max(TEXT_MAX)
  .regex(/^[\x21-\x7e]+$/, { error: 'must be one word of plain characters' });

/** Lines as `ssh-keyscan HOST` prints them. */
const knownHosts = z
  .string({ error: 'Known hosts must be a string' })
  .max(16_384, { error: 'Known hosts are too long (maximum is 16384 characters)' })
  .regex(/^(?:(?:#[^\r\n]*|[^\s@#]\S* (?:ssh|ecdsa)-[\w.@-]+ [A-Za-z0-9+/]+=*(?: [^\r\n]*)?)(?:\r?\n|$))+$/, {
    error: 'Known hosts must be lines like: github.com ssh-ed25519 AAAA... (ssh-keyscan HOST prints them)',
  });

export const putGitWebhook = body({
  repository_url: z.string({ error: 'Repository URL must be a string' }).refine(text => gitRemote(text) !== null, {
    error:
      'Repository URL must be an https address without a login in it, like https://github.com/team/shop.git, or one of SSH, like git@github.com:team/shop.git',
  }),
  branch: z
    .string({ error: 'Branch must be a string' })
    .refine(isBranchName, { error: 'Branch must be the name of a branch, like main or release/2' })
    .exactOptional(),
  /** Of the forge, for a repository that is not public, and for the status of commits. */
  login: z.object({ user: secretText, token: secretText }).exactOptional(),
  /** Of an address of SSH; not given: the key that the host shows at first. */
  known_hosts: knownHosts.exactOptional(),
});

export const gitWebhook = z.object({
  /** What the forge is to ask. */
  url: z.url(),
  repository_url: z.string(),
  branch: z.string(),
  has_login: z.boolean(),
  /** For the forge: a line that lets this webhook read the repository. Null: not over SSH. */
  deploy_key: z.string().nullable(),
  /** By what the host is known again; null: not over SSH, or not asked yet. */
  known_hosts: z.string().nullable(),
  /** As whom it deploys. */
  user: z.string().nullable(),
  created_at: z.string(),
});
/** The secret is told once. */
export const madeGitWebhook = gitWebhook.extend({ secret: z.string() });

/** Of a push event, alike in all forges (docs.github.com "Webhook events and payloads: push", docs.gitlab.com "Webhook events: push events", docs.gitea.com "Webhooks"). */
const commit = z.string().regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/);
export const forgePush = z.object({ ref: z.string(), after: commit });

/** Of GitHub, Gitea and Forgejo: a branch or tag that was removed (docs.github.com "delete"). */
export const forgeDelete = z.object({ ref: z.string(), ref_type: z.string() });

const side = z.object({
  ref: z.string(),
  /** GitHub: `owner:branch`. Gitea and Forgejo: the branch, also once it is gone; empty for the AGit flow. */
  label: z.string().nullish(),
  repo: z.object({ id: z.number() }).nullish(),
});
/**
 * Of GitHub, Gitea and Forgejo (docs.github.com "pull_request", and the samples in github.com/octokit/webhooks; services/convert/pull.go of gitea). A repository that
 * is not told is another one. A commit may be missing once a request is closed.
 */
export const forgePull = z.object({
  action: z.string(),
  number: z.number().int().positive(),
  pull_request: z.object({ head: side.extend({ sha: commit.or(z.literal('')) }), base: side }),
});

/** docs.gitlab.com "Webhook events: merge request events". */
export const gitlabMerge = z.object({
  object_attributes: z.object({
    iid: z.number().int().positive(),
    action: z.string().nullish(),
    /** There when commits have come. */
    oldrev: z.string().nullish(),
    source_branch: z.string(),
    source_project_id: z.number().nullish(),
    target_project_id: z.number().nullish(),
    /** Null where the branch has none, or is gone. */
    last_commit: z.object({ id: commit }).nullish(),
  }),
});

/** From the API to git's part: fetch that ref, and deploy it. */
export const fetchOrder = z.object({
  organization: z.string(),
  space: z.string(),
  app: z.string(),
  url: z.string(),
  ref: z.string().refine(isFetchedRef),
  /** Which the forge has told of. */
  commit: z.string(),
  forge: z.enum(FORGES),
  login: z.object({ user: z.string(), token: z.string() }).nullable(),
  /** Over SSH. */
  deploy_key: z.object({ private: z.string(), known_hosts: z.string().nullable() }).nullable(),
});
export type FetchOrder = z.infer<typeof fetchOrder>;

export const FETCH_OUTCOMES = ['deployed', 'failed', 'overtaken'] as const;
export type FetchOutcome = (typeof FETCH_OUTCOMES)[number];
/** What it answers, a line of JSON each. */
export const fetchLine = z.union([
  z.object({ say: z.string() }),
  z.object({ outcome: z.enum(FETCH_OUTCOMES) }),
  /** By which the host is to be known again. */
  z.object({ known_hosts: knownHosts }),
]);
