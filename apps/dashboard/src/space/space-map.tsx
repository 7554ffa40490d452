/** Routes, apps and services of a space beside each other, with lines between what is connected. Lists to a screen reader; the lines say what the pages of apps say in words. */
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { type Card, linkOf, type Overview } from '../apps/overview.ts';
import { spaceServicesQuery } from '../data/queries.ts';
import { usePlatform } from '../data/session.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { layOut, type MapEdge } from './map-layout.ts';

/** px; as in apps.css. */
const ROW = 34;
/** More would be a wall, not a map. */
const APPS_MAX = 100;

interface Props {
  spaceGuid: string;
  cards: readonly Card[];
  routes: Overview['routes'];
}

export function SpaceMap(props: Props) {
  const [isOpen, setOpen] = useState(false);
  return (
    <details className="sheet space-map" onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>Map of routes, apps and services</summary>
      {isOpen && <Drawn {...props} />}
    </details>
  );
}

function Drawn({ spaceGuid, cards, routes }: Props) {
  const platform = usePlatform();
  const { data: services } = useQuery(spaceServicesQuery(spaceGuid));
  if (services === undefined) return <p className="body quiet">Reading…</p>;
  const map = layOut({
    apps: cards.slice(0, APPS_MAX),
    routes: routes.map(({ guid, url, destinations }) => ({
      ...{ guid, name: url },
      appGuids: (destinations ?? []).map(({ app }) => app?.guid ?? ''),
    })),
    services: services.instances,
    bindings: services.bindings,
  });
  const rows = Math.max(map.routes.length, map.apps.length, map.services.length);
  return (
    <div className="scrolls">
      {cards.length > APPS_MAX && (
        <p className="body quiet small">
          The first {APPS_MAX} of {cards.length} apps.
        </p>
      )}
      <div className="map">
        <Column title="routes" empty="none">
          {map.routes.map(({ guid, name }) => (
            <li key={guid}>
              <a className="mono" href={linkOf(name, platform)} target="_blank" rel="noreferrer">
                {name}
              </a>
            </li>
          ))}
        </Column>
        <Lines edges={map.requests} rows={rows} />
        <Column title="apps" empty="none">
          {map.apps.map(({ guid, name, health }) => (
            <li key={guid}>
              <StateWord health={health} />
              <Link to="/apps/$guid" params={{ guid }}>
                {name}
              </Link>
            </li>
          ))}
        </Column>
        <Lines edges={map.bindings} rows={rows} />
        <Column title="services" empty="none">
          {map.services.map(({ guid, name }) => (
            <li key={guid}>{name}</li>
          ))}
        </Column>
      </div>
    </div>
  );
}

function Column({ title, empty, children }: { title: string; empty: string; children: React.ReactNode[] }) {
  return (
    <div>
      <h3 className="label">{title}</h3>
      {children.length === 0 ? <p className="quiet small">{empty}</p> : <ul>{children}</ul>}
    </div>
  );
}

/** As wide as there is room: only heights are in pixels. */
function Lines({ edges, rows }: { edges: readonly MapEdge[]; rows: number }) {
  const middle = (row: number): number => (row + 0.5) * ROW;
  return (
    <svg
      className="lines"
      viewBox={`0 0 100 ${Math.max(1, rows * ROW)}`}
      height={rows * ROW}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {edges.map(({ from, to }) => (
        <path key={`${from} ${to}`} d={`M0 ${middle(from)}C50 ${middle(from)} 50 ${middle(to)} 100 ${middle(to)}`} />
      ))}
    </svg>
  );
}
