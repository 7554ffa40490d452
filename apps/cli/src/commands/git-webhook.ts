/** git:webhook: a forge's push events deploy an app. Prints once what the forge is to be given. */
import { gitWebhook, madeGitWebhook } from '@cupola/contract/v3/git-webhook';
import { usageError } from '@cupola/push/failures';
import { table } from '@cupola/push/text';
import type { z } from 'zod';
import { type CliContext, findApp } from '../context.ts';
import { readStdin, secret } from '../prompt.ts';

interface WebhookFlags {
  repo?: string;
  branch?: string;
  /** User of the forge, for a repository that is not public. */
  login?: string;
  tokenStdin?: boolean;
  remove?: boolean;
}

export async function gitWebhookCommand(context: CliContext, name: string, flags: WebhookFlags): Promise<void> {
  if (flags.repo === undefined && (flags.branch !== undefined || flags.login !== undefined))
    throw usageError(
      '--branch and --login are of a new webhook.',
      `cupola git:webhook ${name} --repo URL --branch main`,
    );
  const { guid } = await findApp(context, name);
  const path = `/v3/apps/${guid}/git_webhook`;
  const client = context.client();
  if (flags.remove === true) {
    await client.act({ method: 'DELETE', path });
    return context.result(
      { app: name, removed: true },
      `Push events deploy ${name} no more. Remove the webhook at the forge too.`,
    );
  }
  if (flags.repo === undefined) {
    const known = await client.read(gitWebhook, { path });
    return context.result({ app: name, ...known }, facts(known));
  }
  const token = flags.login === undefined ? null : await tokenOf(context, flags);
  const made = await client.read(madeGitWebhook, {
    method: 'PUT',
    path,
    json: {
      repository_url: flags.repo,
      ...(flags.branch === undefined ? {} : { branch: flags.branch }),
      ...(token === null ? {} : { login: { user: flags.login, token } }),
    },
  });
  context.result({ app: name, ...made }, `${facts(made)}\n${table([['secret', made.secret]])}\n\n${HOW}`);
}

async function tokenOf({ environment, isTerminal }: CliContext, { tokenStdin }: WebhookFlags): Promise<string> {
  const given = tokenStdin === true ? await readStdin() : (environment.CUPOLA_GIT_TOKEN ?? '');
  const token = (given === '' && isTerminal ? await secret('Token: ') : given).trim();
  if (token !== '') return token;
  throw usageError(
    'The token of the forge is not there.',
    'Put it into CUPOLA_GIT_TOKEN, or pipe it in: --token-stdin',
  );
}

function facts({ url, repository_url, branch, has_login, user }: z.infer<typeof gitWebhook>): string {
  return table([
    ['deploys', `${branch} of ${repository_url}`],
    ['as', user ?? 'nobody: that user is gone. Make it anew'],
    [
      'with a token',
      has_login ? 'yes: it is fetched with that, and commits show how it went' : 'no: a public repository',
    ],
    ['payload URL', url],
  ]);
}

const HOW = `The secret is shown this once. Give both to the forge, for push events, as JSON:
  GitHub            Settings, Webhooks: Payload URL, Secret
  GitLab            Settings, Webhooks: URL, Signing token (before it had those: Secret token)
  Gitea, Forgejo    Settings, Webhooks: Target URL, Secret`;
