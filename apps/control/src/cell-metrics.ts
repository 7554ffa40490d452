/** What a machine shows of its agent and its stager. Both count in any case, some numbers an event; they are read when somebody asks. */
import type { Agent, AgentFigures } from '@cupola/agent/start';
import type { Metrics } from '@cupola/process/health';
import type { Stager } from '@cupola/stager/start';

export function addAgentMetrics(metrics: Metrics, figures: Agent['figures']): void {
  const read = (kind: 'gauge' | 'counter', name: string, help: string, value: () => number): void =>
    metrics.read({ name, help, labels: [], kind }, () => [[{}, value()]]);
  metrics.read(
    { name: 'cupola_agent_instances', help: 'Copies on this machine by state.', labels: ['state'], kind: 'gauge' },
    () => Object.entries(figures().copies).map(([state, count]) => [{ state }, count]),
  );
  read('counter', 'cupola_agent_starts_total', 'Sandboxes that came up.', () => figures().starts);
  read('counter', 'cupola_agent_crashes_total', 'Copies that ended unasked.', () => figures().crashes);
  read(
    'gauge',
    'cupola_agent_heartbeat_age_seconds',
    'Since an API last heard this machine; its apps are started elsewhere after 15 s.',
    () => (figures().unheardMs ?? 0) / 1000,
  );
  const used = (name: string, help: string, value: (use: AgentFigures['used'][number]) => number): void =>
    metrics.read({ name, help, labels: ['app', 'process', 'index'], kind: 'gauge' }, () =>
      figures().used.map(use => [{ app: use.appGuid, process: use.processType, index: String(use.index) }, value(use)]),
    );
  used('cupola_instance_cpu_cores', 'What an instance uses of the processors; 1 is one core.', ({ cpu }) => cpu);
  used('cupola_instance_memory_bytes', 'Memory of an instance.', ({ memoryBytes }) => memoryBytes);
  used('cupola_instance_disk_bytes', 'What an instance has written to its disk.', ({ diskBytes }) => diskBytes);
  read('gauge', 'cupola_agent_layers_bytes', "Droplets' layers on this machine.", () => figures().layersBytes);
}

export function addStagerMetrics(metrics: Metrics, figures: Stager['figures']): void {
  metrics.read(
    { name: 'cupola_stager_builds_running', help: 'Builds under way here.', labels: [], kind: 'gauge' },
    () => [[{}, figures().running]],
  );
  metrics.read(
    {
      name: 'cupola_stager_builds_total',
      help: 'Builds by what became of them here; dropped: another has them, or nobody wants them.',
      labels: ['outcome'],
      kind: 'counter',
    },
    () => Object.entries(figures().ended).map(([outcome, count]) => [{ outcome }, count]),
  );
}
