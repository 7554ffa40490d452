/** What a push has come to, phase by phase. Pure. */
import type { Tone } from '../apps/health.ts';
import { reasonOf } from '../apps/overview.ts';
import type { ShownProcess } from '../data/queries.ts';
import type { App, Build, Deployment } from '../data/read.ts';
import { shortDuration } from '../ui/time.ts';

interface Phase {
  name: string;
  tone: Tone;
  says: string;
}
export interface PhaseFacts {
  app: Pick<App, 'state'>;
  build: Build | null;
  deployment: Deployment | null;
  processes: readonly ShownProcess[];
  now: number;
}

/** What a push has come to. Empty when nothing is under way. */
export function phasesOf({ app, build, deployment, processes, now }: PhaseFacts): Phase[] {
  const reason = reasonOf(deployment);
  const wanted = processes.reduce((sum, { process }) => sum + process.instances, 0);
  const states = processes.flatMap(({ instances }) => instances.map(({ state }) => state));
  const running = states.filter(state => state === 'RUNNING').length;
  const isStarting = app.state === 'STARTED' && states.includes('STARTING');
  if (build?.state !== 'STAGING' && reason === null && !isStarting) return [];
  return [stagePhase(build, now), startPhase({ app, build, running, wanted }), ...deployPhase(reason, deployment, now)];
}

function stagePhase(build: Build | null, now: number): Phase {
  if (build === null) return { name: 'stage', tone: 'off', says: 'not needed' };
  if (build.state === 'FAILED') return { name: 'stage', tone: 'bad', says: 'failed' };
  const end = build.state === 'STAGING' ? now : Date.parse(build.updated_at ?? build.created_at);
  const took = shortDuration((end - Date.parse(build.created_at)) / 1_000);
  return { name: 'stage', tone: build.state === 'STAGING' ? 'moving' : 'good', says: took };
}

function startPhase(facts: { app: Pick<App, 'state'>; build: Build | null; running: number; wanted: number }): Phase {
  const { app, build, running, wanted } = facts;
  if (app.state === 'STOPPED' || build?.state === 'STAGING')
    return { name: 'start', tone: 'off', says: running > 0 ? 'the old version serves' : 'waits' };
  const isDone = running >= wanted;
  return { name: 'start', tone: isDone ? 'good' : 'moving', says: `${running} of ${wanted} instances` };
}

function deployPhase(reason: string | null, deployment: Deployment | null, now: number): Phase[] {
  if (reason === null || deployment === null) return [];
  const says = `${reason.toLowerCase()}, ${shortDuration((now - Date.parse(deployment.created_at)) / 1_000)}`;
  return [{ name: `deploy, ${deployment.strategy ?? 'rolling'}`, tone: 'moving', says }];
}
