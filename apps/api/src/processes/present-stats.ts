import type { InstanceStats } from '@cupola/contract/v3/process';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import { isoTime } from '../http/iso-time.ts';
import { APP_PORT } from '../run-specs/fix.ts';
import type { Instance } from './instances.ts';
import { ageSeconds } from './present-process.ts';

const MIB = 1024 * 1024;

/** Newest measurement of a copy, from its cell's heartbeat. */
export interface Usage {
  /** Fraction of one core. */
  cpu: number;
  memoryBytes: number;
  diskBytes: number;
  logBytesPerSecond: number;
}

export interface StatsFacts {
  type: string;
  /** Of the run spec: what the copies have, not what the next start will give them. */
  memoryMb: number;
  diskMb: number;
  logRateBytesPerSecond: number;
  usage: ReadonlyMap<string, Usage>;
  now: number;
}

/** @see InstanceStats. An index that nobody runs has the short form. */
export function presentStats(instances: readonly Instance[], facts: StatsFacts): InstanceStats[] {
  return instances.map(instance => {
    const { index, state, routable, details, copy, since } = instance;
    const common = { type: facts.type, index, state, routable, isolation_segment: null, details };
    const uptime = since === null ? 0 : ageSeconds(since, facts.now);
    if (copy === null) return { ...common, uptime };
    const usage = facts.usage.get(copy.guid);
    return {
      ...common,
      instance_guid: copy.guid,
      host: copy.host ?? '',
      instance_internal_ip: copy.host ?? '',
      uptime,
      mem_quota: facts.memoryMb * MIB,
      disk_quota: facts.diskMb * MIB,
      log_rate_limit: facts.logRateBytesPerSecond,
      fds_quota: INSTANCE_LIMITS.openFilesMax,
      instance_ports: copy.port === null ? [] : [instancePort(copy.port)],
      usage: {
        time: isoTime(facts.now),
        cpu: usage?.cpu ?? 0,
        cpu_entitlement: null,
        // Whole numbers: the cf CLI reads these three as unsigned integers, and fails on a fraction.
        mem: Math.round(usage?.memoryBytes ?? 0),
        disk: Math.round(usage?.diskBytes ?? 0),
        log_rate: Math.round(usage?.logBytesPerSecond ?? 0),
      },
    };
  });
}

function instancePort(external: number) {
  return { external, internal: APP_PORT, external_tls_proxy_port: null, internal_tls_proxy_port: null };
}
