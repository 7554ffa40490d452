/** One word for how an app is, the same for its card and its page. Pure: what the API says in, a word and its tone out. */

/** `bad` needs somebody; `moving` ends by itself; `off` is as somebody wanted it. */
export type Tone = 'good' | 'moving' | 'bad' | 'off';
export interface Health {
  word: string;
  tone: Tone;
}

export interface HealthFacts {
  state: 'STARTED' | 'STOPPED';
  /** Of each process that has instances wanted. */
  processes: ReadonlyArray<{ instances: number; states: readonly string[] }>;
  /** Of the newest build; null when there is none. */
  buildState: string | null;
  /** Of the deployment under way; null when there is none. */
  deploymentReason: string | null;
}

export function healthOf({ state, processes, buildState, deploymentReason }: HealthFacts): Health {
  if (state === 'STOPPED') {
    if (buildState === 'STAGING') return { word: 'staging', tone: 'moving' };
    if (buildState === 'FAILED') return { word: 'build failed', tone: 'bad' };
    return { word: buildState === null ? 'empty' : 'stopped', tone: 'off' };
  }
  const states = processes.flatMap(one => one.states);
  const wanted = processes.reduce((sum, { instances }) => sum + instances, 0);
  if (wanted === 0) return { word: 'no instances', tone: 'off' };
  const running = count(states, 'RUNNING');
  if (count(states, 'CRASHED') > 0) return { word: running > 0 ? 'degraded' : 'crashing', tone: 'bad' };
  if (deploymentReason === 'PAUSED') return { word: 'paused', tone: 'moving' };
  if (deploymentReason !== null) return { word: 'deploying', tone: 'moving' };
  if (buildState === 'STAGING') return { word: running > 0 ? 'staging' : 'starting', tone: 'moving' };
  if (running >= wanted) return { word: 'running', tone: 'good' };
  if (count(states, 'STARTING') > 0) return { word: 'starting', tone: 'moving' };
  return { word: running > 0 ? 'degraded' : 'waiting', tone: 'bad' };
}

const count = (states: readonly string[], wanted: string): number => states.filter(state => state === wanted).length;

/** Trouble first, then what moves; within a tone by name. */
export function byNeed<T extends { health: Health; name: string }>(a: T, b: T): number {
  return ORDER.indexOf(a.health.tone) - ORDER.indexOf(b.health.tone) || a.name.localeCompare(b.name);
}
const ORDER: readonly Tone[] = ['bad', 'moving', 'good', 'off'];

export function toneOfInstance(state: string): Tone {
  if (state === 'RUNNING') return 'good';
  if (state === 'STARTING') return 'moving';
  return state === 'CRASHED' ? 'bad' : 'off';
}
