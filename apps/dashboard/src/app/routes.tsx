import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { linkOf } from '../apps/overview.ts';
import { ask, nowThere, read, withQuery } from '../data/http.ts';
import { type Certificates, certificatesQuery, domainsQuery, routesQuery } from '../data/queries.ts';
import { type App, type Domain, listOf, type Route, route as readRoute } from '../data/read.ts';
import { usePlatform } from '../data/session.tsx';
import { Action } from '../ui/action.tsx';
import { Copy } from '../ui/copy.tsx';
import { mapRoute, unmapRoute } from './commands.ts';
import { carryOut, carryOutAll } from './do.ts';
import { isSettled, nameOf, securityOf, whyNoRoute, withSlash } from './route-name.ts';

interface Props {
  app: App;
  readOnly: string | null;
}

/** At certificates that will change by themselves: no frame tells of it. */
const LOOK_AGAIN_MS = 10_000;

/** Where requests come in; another way in is made by typing it. */
export function Routes({ app, readOnly }: Props) {
  const { data: routes = [] } = useQuery(routesQuery(app.guid));
  const { data: domains = [] } = useQuery(domainsQuery);
  const platform = usePlatform();
  const { data: certificates } = useQuery({
    ...certificatesQuery(app.guid),
    enabled: routes.length > 0,
    refetchInterval: ({ state }) => (isSettled({ platform, certificates: state.data }) ? false : LOOK_AGAIN_MS),
  });
  return (
    <section className="sheet" aria-labelledby="routes-title">
      <header>
        <h2 id="routes-title">Routes</h2>
      </header>
      {routes.length === 0 ? (
        <p className="body quiet">No request finds this app. Map a route to it.</p>
      ) : (
        <ul className="lines">
          {routes.map(route => (
            <Line
              key={route.guid}
              app={app}
              route={route}
              domains={domains}
              certificates={certificates}
              readOnly={readOnly}
            />
          ))}
        </ul>
      )}
      <MapRoute app={app} domains={domains} readOnly={readOnly} />
    </section>
  );
}

interface LineProps extends Props {
  route: Route;
  domains: readonly Domain[];
  /** Undefined while they are looked at. */
  certificates: Certificates | undefined;
}

function Line({ app, route, domains, certificates, readOnly }: LineProps) {
  const platform = usePlatform();
  const domain = domains.find(({ guid }) => guid === route.relationships?.domain?.data?.guid);
  const isInternal = domain?.internal === true;
  const { text, link, tone } = securityOf({ url: route.url, isInternal }, { platform, certificates, now: nowThere() });
  const others = (route.destinations ?? []).filter(one => one.app?.guid !== app.guid).length;
  // Each port or process of the app is one.
  const own = (route.destinations ?? []).flatMap(one => (one.app?.guid === app.guid ? (one.guid ?? []) : []));
  const unmap = (destination: string) => unmapRoute(app, nameOf(route, domains), { guid: route.guid, destination });
  return (
    <li>
      <div className="grow">
        <span className="row">
          {isInternal ? (
            <span className="mono">{route.url}</span>
          ) : (
            <a className="mono" href={linkOf(route.url, platform)} target="_blank" rel="noreferrer">
              {route.url}
            </a>
          )}
          <Copy text={isInternal ? route.url : linkOf(route.url, platform)} what={`the address ${route.url}`} />
        </span>
        <span className="quiet small">
          <span className={tone === null ? '' : `tone-${tone}`}>{text}</span>
          {link !== null && (
            <>
              {': '}
              <a className="mono" href={link} target="_blank" rel="noreferrer">
                {link}
              </a>
            </>
          )}
          {others > 0 && ` · leads to ${others} more`}
        </span>
      </div>
      <Action
        label="Unmap"
        commands={unmap(own[0] ?? '')}
        disabledBecause={readOnly}
        run={() => carryOutAll(own.map(unmap))}
        done={`${route.url} leads to ${app.name} no more.`}
      />
    </li>
  );
}

function MapRoute({ app, domains, readOnly }: Props & { domains: readonly Domain[] }) {
  const [host, setHost] = useState('');
  const [path, setPath] = useState('');
  const [chosen, setChosen] = useState('');
  const domain = domains.find(({ guid }) => guid === chosen) ?? domains[0];
  const typed = { host, path: withSlash(path) };
  const name = { ...typed, domain: domain?.name ?? 'DOMAIN' };
  const why = host === '' && path === '' ? 'Type a host first.' : whyNoRoute(typed);
  return (
    <div className="body row fields">
      <label>
        <span className="label">host</span>
        <br />
        <input className="field mono" value={host} autoComplete="off" onChange={event => setHost(event.target.value)} />
      </label>
      <label>
        <span className="label">domain</span>
        <br />
        <select className="field mono" value={domain?.guid ?? ''} onChange={event => setChosen(event.target.value)}>
          {domains.map(one => (
            <option key={one.guid} value={one.guid}>
              {one.name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span className="label">path, if any</span>
        <br />
        <input className="field mono" value={path} autoComplete="off" onChange={event => setPath(event.target.value)} />
      </label>
      <Action
        label="Map"
        commands={mapRoute(app, name, null)}
        disabledBecause={readOnly ?? (domain === undefined ? 'There is no domain.' : why)}
        run={async () => {
          const guid = await ensureRoute(app, { ...typed, domainGuid: domain?.guid ?? '' });
          await carryOut(mapRoute(app, name, guid));
          setHost('');
          setPath('');
        }}
        done={`The route leads to ${app.name}.`}
      />
    </div>
  );
}

/** Made if it is not there. Whose space it is in, and whether it may be mapped, is the API's to say. */
async function ensureRoute(
  app: App,
  { host, path, domainGuid }: { host: string; path: string; domainGuid: string },
): Promise<string> {
  // Lists of these have commas between, and a path may hold some.
  const query = { hosts: encodeURIComponent(host), paths: encodeURIComponent(path), domain_guids: domainGuid };
  const found = await read(listOf(readRoute), withQuery('/v3/routes', query));
  const known = found.resources[0];
  if (known !== undefined) return known.guid;
  const space = app.relationships?.space?.data?.guid ?? '';
  const made = await ask('/v3/routes', {
    method: 'POST',
    json: {
      host,
      path,
      relationships: { space: { data: { guid: space } }, domain: { data: { guid: domainGuid } } },
    },
  });
  return readRoute.parse(await made.json()).guid;
}
