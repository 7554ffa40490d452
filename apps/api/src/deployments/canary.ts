/** The steps of a canary deployment, as its row keeps them (CF: deployment_model.rb, deployment_continue.rb). */
import { continued, deploymentStatus } from '@cupola/model/deployments';
import { UnprocessableError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import type { DeploymentRow } from './in-flight.ts';

/** Percentages; null: one canary. */
export function weightsOf({ canary_weights_json }: Pick<DeploymentRow, 'canary_weights_json'>): number[] | null {
  return canary_weights_json === null ? null : (JSON.parse(canary_weights_json) as number[]);
}

export function stepsOf(row: Pick<DeploymentRow, 'canary_weights_json'>): number {
  return weightsOf(row)?.length ?? 1;
}

/** Lets it go on to its next step, or to the end. @throws UnprocessableError for one that is not paused. */
export async function continueDeployment({ db, now }: Mutation, row: DeploymentRow): Promise<void> {
  const next = continued(row.state, { step: row.canary_step ?? 1, steps: stepsOf(row) });
  if (next === null)
    throw new UnprocessableError(
      `Cannot continue a deployment with status: ${row.status_value} and reason: ${row.status_reason}`,
    );
  const { value, reason } = deploymentStatus(next.state);
  await db
    .updateTable('deployments')
    .set({
      state: next.state,
      canary_step: next.step,
      status_value: value,
      status_reason: reason,
      status_changed_at: now,
      updated_at: now,
    })
    .where('guid', '=', row.guid)
    .execute();
}
