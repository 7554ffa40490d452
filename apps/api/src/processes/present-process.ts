import type { ProcessAnswer } from '@cupola/contract/v3/process';
import type { ProcessesTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { isoTime } from '../http/iso-time.ts';
import type { Instance } from './instances.ts';

/** A process with what its presentation needs beside its row. */
export interface ShownProcess extends Selectable<ProcessesTable> {
  space_guid: string;
  metadata: { labels: Record<string, string>; annotations: Record<string, string> };
  /** Commands hold secrets: only those who may read the space's see them, and lists never show them. */
  secrets: 'shown' | 'hidden' | 'hidden in list';
  /** Given for `embed=process_instances`. */
  embedded?: readonly Instance[];
}

/** What CF puts in the place of a command. */
const REDACTED = { hidden: '[PRIVATE DATA HIDDEN]', 'hidden in list': '[PRIVATE DATA HIDDEN IN LISTS]' };
/** The user an app runs as, by its name inside. */
const RUN_USER = 'vcap';

/** @param now epoch ms, for the ages of embedded instances. */
export function presentProcess(process: ShownProcess, baseUrl: string, now: number): ProcessAnswer {
  const href = (path: string): { href: string } => ({ href: `${baseUrl}/v3/${path}` });
  return {
    guid: process.guid,
    created_at: isoTime(process.created_at),
    updated_at: isoTime(process.updated_at),
    version: process.run_spec_guid ?? process.guid,
    type: process.type,
    command: process.secrets === 'shown' ? (process.command ?? process.detected_command) : REDACTED[process.secrets],
    user: RUN_USER,
    instances: process.instances,
    memory_in_mb: process.memory_mb,
    disk_in_mb: process.disk_mb,
    log_rate_limit_in_bytes_per_second: process.log_rate_limit_bytes,
    health_check: {
      type: process.health_check_type,
      data: {
        timeout: process.health_check_timeout_s,
        invocation_timeout: process.health_check_invocation_timeout_s,
        interval: process.health_check_interval_s,
        ...(process.health_check_type === 'http' ? { endpoint: process.health_check_endpoint } : {}),
      },
    },
    readiness_health_check: {
      type: process.readiness_type,
      data: {
        invocation_timeout: process.readiness_invocation_timeout_s,
        interval: process.readiness_interval_s,
        ...(process.readiness_type === 'http' ? { endpoint: process.readiness_endpoint } : {}),
      },
    },
    ...(process.embedded === undefined ? {} : { process_instances: presentInstances(process.embedded, now) }),
    relationships: {
      app: { data: { guid: process.app_guid } },
      revision: process.revision_guid === null ? null : { data: { guid: process.revision_guid } },
    },
    metadata: process.metadata,
    links: {
      self: href(`processes/${process.guid}`),
      scale: { ...href(`processes/${process.guid}/actions/scale`), method: 'POST' },
      app: href(`apps/${process.app_guid}`),
      space: href(`spaces/${process.space_guid}`),
      stats: href(`processes/${process.guid}/stats`),
      process_instances: href(`processes/${process.guid}/process_instances`),
    },
  };
}

/** `since`: seconds in this state; left out for an index that nobody runs, as in CF. */
export function presentInstances(
  instances: readonly Instance[],
  now: number,
): NonNullable<ProcessAnswer['process_instances']> {
  return instances.map(({ index, state, since, copy }) => ({
    index,
    state,
    ...(since === null || (state === 'DOWN' && copy === null) ? {} : { since: ageSeconds(since, now) }),
  }));
}

export function ageSeconds(since: number, now: number): number {
  return Math.max(0, Math.floor((now - since) / 1_000));
}
