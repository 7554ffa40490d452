import { useQuery, useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { Suspense } from 'react';
import { changeState } from '../app/commands.ts';
import { carryOut } from '../app/do.ts';
import { Environment } from '../app/environment.tsx';
import { Events } from '../app/events.tsx';
import { Instances } from '../app/instances.tsx';
import { Phases } from '../app/phases.tsx';
import { Revisions } from '../app/revisions.tsx';
import { Scale } from '../app/scale.tsx';
import { Terminal } from '../app/terminal.tsx';
import { Trouble } from '../app/trouble.tsx';
import { type Health, healthOf } from '../apps/health.ts';
import { linkOf, reasonOf } from '../apps/overview.ts';
import {
  appQuery,
  buildQuery,
  deploymentQuery,
  dropletQuery,
  eventsQuery,
  processesQuery,
  revisionsQuery,
  routesQuery,
  type ShownProcess,
} from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { useSession, whyReadOnly } from '../data/session.tsx';
import { LogPanel } from '../logs/log-panel.tsx';
import { PushPanel } from '../push/push-panel.tsx';
import { Action } from '../ui/action.tsx';
import { Copy } from '../ui/copy.tsx';
import { later } from '../ui/later.tsx';
import { Since } from '../ui/since.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { memory } from '../ui/time.ts';
import { useTitle } from '../ui/use-title.ts';
import { NotThere } from './not-there.tsx';

const FiguresPanel = later('Figures', async () => (await import('../figures/figures-panel.tsx')).FiguresPanel);

const Settings = later('Settings', async () => (await import('../app/settings.tsx')).Settings);
const Attached = later('Routes, tasks and services', async () => (await import('../app/attached.tsx')).Attached);

export function AppPage() {
  const { guid } = useParams({ from: '/apps/$guid' });
  const { data: app } = useSuspenseQuery(appQuery(guid));
  return app === null ? <NotThere what="app" /> : <AppThere key={guid} app={app} />;
}

function AppThere({ app }: { app: App }) {
  const { guid } = app;
  const { data: processes = [], isPending } = useQuery(processesQuery(guid));
  const { data: build = null } = useQuery(buildQuery(guid));
  const { data: deployment = null } = useQuery(deploymentQuery(guid));
  const { data: events = [] } = useQuery(eventsQuery(guid));
  const { data: history } = useQuery(revisionsQuery(guid));
  const readOnly = whyReadOnly(useSession(), app.relationships?.space?.data?.guid ?? null);
  const health = isPending
    ? null
    : healthOf({
        state: app.state,
        processes: processes
          .filter(({ process }) => process.instances > 0)
          .map(({ process, instances }) => ({
            instances: process.instances,
            states: instances.map(({ state }) => state),
          })),
        buildState: build?.state ?? null,
        deploymentReason: reasonOf(deployment),
      });
  useTitle(health === null ? app.name : `${app.name}: ${health.word}`);
  const since = processes.flatMap(({ instances }) => instances.map(one => one.since));
  // While one version is replaced by the other there are two processes of that type.
  const made = new Set(reasonOf(deployment) === null ? [] : (deployment?.new_processes ?? []).map(one => one.guid));
  const versionOf = ({ guid: process, type }: ShownProcess['process']): 'new' | 'before' | null => {
    if (made.has(process)) return 'new';
    return processes.some(other => other.process.type === type && made.has(other.process.guid)) ? 'before' : null;
  };
  const former = history?.revisions.find(one => !history.deployed.has(one.guid)) ?? null;
  return (
    <>
      <Head app={app} health={health} since={since.length === 0 ? null : Math.max(...since)} readOnly={readOnly} />
      <Facts app={app} processes={processes} />
      <Trouble
        app={app}
        build={build}
        deployment={deployment}
        processes={processes}
        events={events}
        former={former}
        readOnly={readOnly}
      />
      <Phases
        app={app}
        build={build}
        deployment={deployment}
        processes={processes}
        events={events}
        readOnly={readOnly}
      />
      {processes.map(shown => (
        <Instances
          key={shown.process.guid}
          app={app}
          shown={shown}
          version={versionOf(shown.process)}
          events={events}
          readOnly={readOnly}
        />
      ))}
      <LogPanel appGuid={guid} appName={app.name} />
      <Suspense fallback={<section className="sheet figures-wait" />}>
        <FiguresPanel app={app} processes={processes} />
      </Suspense>
      <div className="columns">
        <div>
          <Suspense fallback={null}>
            <Attached app={app} readOnly={readOnly} />
          </Suspense>
          <Revisions app={app} readOnly={readOnly} />
          <Environment app={app} readOnly={readOnly} />
          <Events guid={guid} />
        </div>
        <div>
          {processes
            .filter(({ process }) => versionOf(process) !== 'new')
            .map(({ process }) => (
              <Scale key={process.guid} app={app} process={process} readOnly={readOnly} />
            ))}
          <PushPanel spaceGuid={app.relationships?.space?.data?.guid ?? ''} appName={app.name} readOnly={readOnly} />
          <Terminal app={app} />
          <Suspense fallback={null}>
            <Settings
              app={app}
              processes={processes.filter(({ process }) => versionOf(process) !== 'new')}
              readOnly={readOnly}
            />
          </Suspense>
        </div>
      </div>
    </>
  );
}

interface HeadProps {
  app: App;
  /** Null while it is read. */
  health: Health | null;
  /** Since when the youngest instance has been as it is (epoch ms). */
  since: number | null;
  readOnly: string | null;
}

function Head({ app, health, since, readOnly }: HeadProps) {
  const [space] = app.included?.spaces ?? [];
  const [organization] = app.included?.organizations ?? [];
  return (
    <>
      <nav className="crumbs" aria-label="Path">
        <Link to="/">Home</Link>
        <span>/</span>
        <span>{organization?.name ?? ''}</span>
        <span>/</span>
        <Link to="/spaces/$guid" params={{ guid: space?.guid ?? '' }}>
          {space?.name ?? ''}
        </Link>
      </nav>
      <div className="page-head">
        <h1>{app.name}</h1>
        {health !== null && <StateWord health={health} />}
        {since !== null && app.state === 'STARTED' && (
          <span className="quiet">
            for <Since at={since} />
          </span>
        )}
        <span className="end">
          {(app.state === 'STARTED' ? (['restart', 'stop'] as const) : (['start'] as const)).map(action => {
            const commands = changeState(app, action);
            return (
              <Action
                key={action}
                label={action.charAt(0).toUpperCase() + action.slice(1)}
                {...(action === 'start' ? { kind: 'main-action' as const } : {})}
                commands={commands}
                disabledBecause={readOnly}
                run={() => carryOut(commands)}
                done={`${app.name}: ${action} is under way.`}
              />
            );
          })}
        </span>
      </div>
    </>
  );
}

function Facts({
  app,
  processes,
}: {
  app: App;
  processes: readonly { process: { type: string; instances: number; memory_in_mb: number } }[];
}) {
  const { platform } = useSession();
  const { data: routes = [] } = useQuery(routesQuery(app.guid));
  const { data: droplet = null } = useQuery(dropletQuery(app.guid));
  const web = processes.find(({ process }) => process.type === 'web')?.process ?? processes[0]?.process;
  return (
    <dl className="facts-line">
      <div>
        <dt className="label">routes</dt>
        {routes.length === 0 && <dd className="quiet">none</dd>}
        {routes.map(route => (
          <dd key={route.guid} className="row">
            <a className="mono" href={linkOf(route.url, platform)} target="_blank" rel="noreferrer">
              {route.url}
            </a>
            <Copy text={linkOf(route.url, platform)} what="the address" />
          </dd>
        ))}
      </div>
      {web !== undefined && (
        <div>
          <dt className="label">size</dt>
          <dd className="number">
            {web.instances} × {memory(web.memory_in_mb)}
          </dd>
        </div>
      )}
      {droplet !== null && (
        <>
          <div>
            <dt className="label">{droplet.image ? 'image' : 'built by'}</dt>
            <dd className="mono">
              {droplet.image ?? droplet.buildpacks?.map(one => one.detect_output || one.name).join(', ')}
            </dd>
          </div>
          <div>
            <dt className="label">staged</dt>
            <dd>
              <Since at={Date.parse(droplet.created_at)} after=" ago" />
            </dd>
          </div>
        </>
      )}
    </dl>
  );
}
