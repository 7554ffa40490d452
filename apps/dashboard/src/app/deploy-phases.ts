/**
 * What a push, a restart or a deployment has come to, phase by phase, with the seconds of each. Pure: told from what the API lists of packages' events, the
 * newest build, the newest deployment and instances, so that it says the same of a push from a CLI, by git or from another page. The API's times are whole
 * seconds.
 */
import type { Tone } from '../apps/health.ts';
import { reasonOf } from '../apps/overview.ts';
import type { ShownProcess } from '../data/queries.ts';
import type { App, AuditEvent, Build, Deployment } from '../data/read.ts';
import type { Push } from '../push/pushes.ts';
import { shortDuration } from '../ui/time.ts';

export interface Phase {
  name: 'upload' | 'stage' | 'start' | 'route' | 'drain';
  tone: Tone;
  says: string;
}
export interface PhaseFacts {
  app: Pick<App, 'state'>;
  build: Build | null;
  deployment: Deployment | null;
  processes: readonly ShownProcess[];
  /** Newest first. */
  events: ReadonlyArray<Pick<AuditEvent, 'type' | 'created_at'>>;
  routes: number;
  /** That this page carries out itself. */
  push: Push | null;
  /** By the API's clock, epoch ms. */
  now: number;
}

/** What came right before belongs to the same push: clients go on at once. */
const NEXT_MS = 60_000;
/** A package that nobody sends any more would be under way for ever. */
const UPLOAD_MS = 5 * 60_000;
/** An instance that has not come up by then is no part of a push any more, but trouble. */
const START_MS = 15 * 60_000;
/** What is over stays to be read. */
const SHOWN_MS = 5 * 60_000;

const PACKAGE = /^audit\.app\.package\.(create|upload|delete)$/;
const STARTS = new Set(['audit.app.start', 'audit.app.restart', 'audit.app.restage', 'audit.app.deployment.create']);

/** Empty when nothing is under way, and nothing has just been. */
export function phasesOf(facts: PhaseFacts): Phase[] {
  const { build, push, now } = facts;
  const files = filesOf(facts);
  if (push?.phase === 'upload' || files.isComing)
    return ahead({ name: 'upload', tone: 'moving', says: uploadSays(push, files.created, now) }, facts);
  if (push?.phase === 'stage' && (build === null || Date.parse(build.created_at) < files.uploaded))
    return ahead({ name: 'stage', tone: 'moving', says: 'begins' }, facts, uploadOf(files, now));
  const startedAt = startOf(facts);
  const staged = build === null ? null : Date.parse(build.updated_at ?? build.created_at);
  if (build !== null && staged !== null && (build.state === 'STAGING' || staged > startedAt)) {
    const begun = Date.parse(build.created_at);
    const upload = uploadOf(files, begun);
    if (build.state === 'STAGING')
      return ahead({ name: 'stage', tone: 'moving', says: took(begun, now) }, facts, upload);
    if (now - staged > SHOWN_MS) return [];
    // Staged by itself (`cf stage-package`) nothing starts; a push goes on within a moment.
    if (build.state === 'STAGED')
      return ahead({ name: 'stage', tone: 'good', says: took(begun, staged) }, facts, upload);
    return ahead({ name: 'stage', tone: 'bad', says: `failed, ${took(begun, staged)}` }, facts, upload);
  }
  return startedAt === 0 ? [] : runPhases(facts, { startedAt, staged, files });
}

interface Files {
  isComing: boolean;
  created: number;
  uploaded: number;
}

function filesOf({ events, now }: PhaseFacts): Files {
  const [last] = events.filter(({ type }) => PACKAGE.test(type));
  const at = (kind: string): number =>
    Date.parse(events.find(({ type }) => type === `audit.app.package.${kind}`)?.created_at ?? '') || 0;
  const created = at('create');
  return {
    isComing: last?.type === 'audit.app.package.create' && now - created < UPLOAD_MS,
    created,
    uploaded: at('upload'),
  };
}

function uploadSays(push: Push | null, created: number, now: number): string {
  if (push === null) return took(created, now);
  return push.says === '' ? 'begins' : push.says;
}

/** Of the files that were built then; null: they were there before. */
function uploadOf({ created, uploaded }: Files, built: number): Phase | null {
  if (uploaded === 0 || uploaded > built + 1_000 || built - uploaded > NEXT_MS) return null;
  return { name: 'upload', tone: 'good', says: took(Math.min(created, uploaded), uploaded) };
}

/** When what runs now was asked to; 0: never, or too long ago to be among the events. */
function startOf({ deployment, events }: PhaseFacts): number {
  const event = Date.parse(events.find(({ type }) => STARTS.has(type))?.created_at ?? '') || 0;
  return Math.max(event, deployment === null ? 0 : Date.parse(deployment.created_at));
}

/** A phase that is not over, behind those that are, before those that wait for it. */
function ahead(phase: Phase, { app, processes }: PhaseFacts, upload: Phase | null = null): Phase[] {
  const isServing = app.state === 'STARTED' && countOf(processes, isRunning) > 0;
  const ends = phase.tone === 'bad';
  const rest = ends ? 'not begun' : 'waits';
  const stage: Phase[] = phase.name === 'upload' ? [{ name: 'stage', tone: 'off', says: rest }] : [];
  return [
    ...(phase.name === 'upload' ? [] : [upload ?? notNeeded('upload')]),
    phase,
    ...stage,
    { name: 'start', tone: 'off', says: isServing ? 'the version before serves' : rest },
    { name: 'route', tone: 'off', says: rest },
    { name: 'drain', tone: 'off', says: rest },
  ];
}

function runPhases(facts: PhaseFacts, when: { startedAt: number; staged: number | null; files: Files }): Phase[] {
  const { app, build, deployment, now } = facts;
  const { startedAt, staged, files } = when;
  if (app.state === 'STOPPED') return [];
  const deploying = deployment !== null && Date.parse(deployment.created_at) >= startedAt - 1_000 ? deployment : null;
  const fresh = freshOf(facts, deploying);
  // A deployment has at least one to start.
  const wanted = Math.max(
    reasonOf(deploying) === null ? 0 : 1,
    fresh.reduce((sum, { process }) => sum + process.instances, 0),
  );
  const running = fresh.flatMap(({ instances }) => instances.filter(isRunning));
  const isUp = running.length >= wanted;
  const upAt = Math.max(startedAt, ...running.map(({ since }) => since));
  const isMoving = reasonOf(deploying) !== null || (!isUp && now - startedAt < START_MS);
  if (!isMoving && now - Math.max(upAt, startedAt) > SHOWN_MS) return [];
  const isBuilt = build !== null && staged !== null && startedAt - staged < NEXT_MS && build.state === 'STAGED';
  const begun = build === null ? 0 : Date.parse(build.created_at);
  return [
    (isBuilt ? uploadOf(files, begun) : null) ?? notNeeded('upload'),
    isBuilt ? { name: 'stage', tone: 'good', says: took(begun, staged) } : notNeeded('stage'),
    startPhase(facts, { fresh, wanted, running: running.length, startedAt, upAt }),
    routePhase(facts, { wanted, routable: running.filter(({ routable }) => routable === true).length }),
    drainPhase(deploying, { isUp, upAt, now }),
  ];
}

/** What the deployment has made, while it is under way (nothing, until that is heard of too); else all. */
function freshOf({ processes }: PhaseFacts, deployment: Deployment | null): readonly ShownProcess[] {
  const made = new Set((deployment?.new_processes ?? []).map(({ guid }) => guid));
  return reasonOf(deployment) === null || made.size === 0
    ? processes
    : processes.filter(({ process }) => made.has(process.guid));
}

interface Starting {
  fresh: readonly ShownProcess[];
  wanted: number;
  running: number;
  startedAt: number;
  upAt: number;
}

function startPhase({ now }: PhaseFacts, { fresh, wanted, running, startedAt, upAt }: Starting): Phase {
  if (running >= wanted) return { name: 'start', tone: 'good', says: took(startedAt, upAt) };
  const crashed = countOf(fresh, ({ state }) => state === 'CRASHED');
  const count = `${running} of ${wanted}`;
  if (crashed > 0) return { name: 'start', tone: 'bad', says: `${count}, ${crashed} crashed` };
  return { name: 'start', tone: 'moving', says: `${count}, ${took(startedAt, now)}` };
}

function routePhase({ routes }: PhaseFacts, { wanted, routable }: { wanted: number; routable: number }): Phase {
  if (routes === 0) return { name: 'route', tone: 'off', says: 'no route' };
  if (wanted > 0 && routable >= wanted) return { name: 'route', tone: 'good', says: 'takes requests' };
  return { name: 'route', tone: routable > 0 ? 'moving' : 'off', says: `${routable} of ${wanted} take requests` };
}

function drainPhase(
  deployment: Deployment | null,
  { isUp, upAt, now }: { isUp: boolean; upAt: number; now: number },
): Phase {
  if (deployment === null) return notNeeded('drain');
  const reason = reasonOf(deployment);
  if (reason === null) {
    const ended = Date.parse(deployment.status.details?.last_status_change ?? deployment.created_at);
    return deployment.status.reason === 'DEPLOYED'
      ? { name: 'drain', tone: 'good', says: took(Math.min(upAt, ended), ended) }
      : { name: 'drain', tone: 'off', says: (deployment.status.reason ?? 'ended').toLowerCase() };
  }
  if (reason !== 'DEPLOYING') return { name: 'drain', tone: 'moving', says: reason.toLowerCase() };
  return isUp
    ? { name: 'drain', tone: 'moving', says: took(upAt, now) }
    : { name: 'drain', tone: 'off', says: 'the version before serves' };
}

const notNeeded = (name: Phase['name']): Phase => ({ name, tone: 'off', says: 'not needed' });
const took = (from: number, to: number): string => shortDuration(Math.max(0, to - from) / 1_000);
const isRunning = ({ state }: { state: string }): boolean => state === 'RUNNING';

function countOf(
  processes: readonly ShownProcess[],
  counts: (instance: ShownProcess['instances'][number]) => boolean,
): number {
  return processes.reduce((sum, { instances }) => sum + instances.filter(counts).length, 0);
}
