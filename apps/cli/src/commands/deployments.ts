/** continue-deployment, cancel-deployment: what becomes of a deployment that is under way, or has paused after a canary. */
import { type ReadApp, type ReadDeployment, readDeployment } from '@cupola/contract/v3/client-reads';
import { WordedError } from '@cupola/push/failures';
import { followDeployment } from '@cupola/push/run-app';
import { type CliContext, findApp } from '../context.ts';

/** An app has at most one that has not ended; null when it has none. */
export async function activeDeployment(context: CliContext, app: ReadApp): Promise<ReadDeployment | null> {
  return context.client().first(readDeployment, '/v3/deployments', {
    app_guids: app.guid,
    status_values: 'ACTIVE',
    order_by: '-created_at',
  });
}

/** One sentence: what has been done so far, and the two ways on. */
export function canaryText(app: string, deployment?: Pick<ReadDeployment, 'status'>): string {
  const { current, total } = deployment?.status.canary?.steps ?? { current: 1, total: 1 };
  const step = total > 1 ? ` (step ${current} of ${total})` : '';
  return `A canary of the new version of ${app} serves beside the former one${step}. Go on: cupola continue-deployment ${app}, or go back: cupola cancel-deployment ${app}`;
}

async function found(context: CliContext, name: string): Promise<{ app: ReadApp; deployment: ReadDeployment }> {
  const app = await findApp(context, name);
  const deployment = await activeDeployment(context, app);
  if (deployment === null)
    throw new WordedError(`No deployment of ${name} is under way.`, {
      next: `Begin one: cupola push ${name} --strategy canary`,
    });
  return { app, deployment };
}

/** Lets a canary deployment go on to its next step or its end, and follows it there. Fails as a push does. */
export async function continueDeployment(context: CliContext, name: string): Promise<void> {
  const { app, deployment } = await found(context, name);
  if (deployment.status.reason !== 'PAUSED')
    throw new WordedError(`The deployment of ${name} goes on by itself: it has not paused.`, {
      next: `See how far it is: cupola app ${name}`,
    });
  const { guid } = deployment;
  await context.client().act({ method: 'POST', path: `/v3/deployments/${guid}/actions/continue` });
  const deployed = await followDeployment(context.client(), app, { deployment, startTimeout: null });
  const now = await context.client().read(readDeployment, { path: `/v3/deployments/${guid}` });
  context.result(
    { name, guid: app.guid, deployment: guid, deployed },
    deployed === 'canary' ? canaryText(name, now) : `${name} runs its new version, on all instances.`,
  );
}

/** Back to what served before. The new version's instances go once the former ones are all there again. */
export async function cancelDeployment(context: CliContext, name: string): Promise<void> {
  const { app, deployment } = await found(context, name);
  await context.client().act({ method: 'POST', path: `/v3/deployments/${deployment.guid}/actions/cancel` });
  context.result(
    { name, guid: app.guid, deployment: deployment.guid, cancelled: true },
    `${name} goes back to its former version, which serves meanwhile. See how far it is: cupola app ${name}`,
  );
}
