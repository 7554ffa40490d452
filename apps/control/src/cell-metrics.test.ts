import { openHealth } from '@cupola/process/health';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { addAgentMetrics, addStagerMetrics } from './cell-metrics.ts';

test('a machine shows its instances, how long nobody heard it, and its builds', async () => {
  await using health = await openHealth({ listen: { host: '127.0.0.1', port: 0 }, log: pino({ level: 'silent' }) });
  addAgentMetrics(health.metrics, () => ({
    copies: { RUNNING: 2, CRASHED: 1 },
    ...{ starts: 4, crashes: 1, unheardMs: 1_500, layersBytes: 2_048 },
    used: [{ appGuid: 'shop', processType: 'web', index: 1, cpu: 0.5, memoryBytes: 4_096, diskBytes: 8 }],
  }));
  addStagerMetrics(health.metrics, () => ({ running: 1, ended: { staged: 3, failed: 1, lost: 0, dropped: 0 } }));
  const answer = await fetch(`http://127.0.0.1:${health.address()?.port}/metrics`);
  expect((await answer.text()).split('\n')).toEqual(
    expect.arrayContaining([
      ...['cupola_agent_instances{state="RUNNING"} 2', 'cupola_agent_instances{state="CRASHED"} 1'],
      ...['cupola_agent_starts_total 4', 'cupola_agent_crashes_total 1', 'cupola_agent_heartbeat_age_seconds 1.5'],
      'cupola_instance_cpu_cores{app="shop",process="web",index="1"} 0.5',
      'cupola_instance_memory_bytes{app="shop",process="web",index="1"} 4096',
      'cupola_instance_disk_bytes{app="shop",process="web",index="1"} 8',
      ...['cupola_agent_layers_bytes 2048', 'cupola_stager_builds_running 1'],
      ...['cupola_stager_builds_total{outcome="staged"} 3', 'cupola_stager_builds_total{outcome="failed"} 1'],
    ]),
  );
});
