import type { DeploymentAnswer } from '@cupola/contract/v3/deployment';
import { isCancelable } from '@cupola/model/deployments';
import type { ShownMetadata } from '../apps/present-app.ts';
import { isoTime } from '../http/iso-time.ts';
import { stepsOf, weightsOf } from './canary.ts';
import type { DeploymentRow } from './in-flight.ts';

export function presentDeployment(row: DeploymentRow, metadata: ShownMetadata, baseUrl: string): DeploymentAnswer {
  const weights = weightsOf(row);
  const self = `${baseUrl}/v3/deployments/${row.guid}`;
  return {
    guid: row.guid,
    created_at: isoTime(row.created_at),
    updated_at: isoTime(row.updated_at),
    status: {
      value: row.status_value,
      reason: row.status_reason,
      details: {
        last_successful_healthcheck: row.last_healthy_at === null ? null : isoTime(row.last_healthy_at),
        last_status_change: isoTime(row.status_changed_at),
        ...(row.error === null ? {} : { error: row.error }),
      },
      ...(row.canary_step === null ? {} : { canary: { steps: { current: row.canary_step, total: stepsOf(row) } } }),
    },
    strategy: row.strategy,
    options: {
      max_in_flight: row.max_in_flight,
      ...(row.web_instances === null ? {} : { web_instances: row.web_instances }),
      ...(row.memory_mb === null ? {} : { memory_in_mb: row.memory_mb }),
      ...(row.disk_mb === null ? {} : { disk_in_mb: row.disk_mb }),
      ...(row.log_rate_limit_bytes === null ? {} : { log_rate_limit_in_bytes_per_second: row.log_rate_limit_bytes }),
      ...(weights === null ? {} : { canary: { steps: weights.map(weight => ({ instance_weight: weight })) } }),
    },
    droplet: { guid: row.droplet_guid },
    previous_droplet: { guid: row.previous_droplet_guid },
    new_processes: row.process_guid === null ? [] : [{ guid: row.process_guid, type: row.process_type }],
    revision:
      row.revision_guid === null || row.revision_version === null
        ? null
        : { guid: row.revision_guid, version: row.revision_version },
    relationships: { app: { data: { guid: row.app_guid } } },
    metadata,
    links: {
      self: { href: self },
      app: { href: `${baseUrl}/v3/apps/${row.app_guid}` },
      ...(isCancelable(row.state) ? { cancel: { href: `${self}/actions/cancel`, method: 'POST' } } : {}),
      ...(row.state === 'PAUSED' ? { continue: { href: `${self}/actions/continue`, method: 'POST' } } : {}),
    },
  };
}
