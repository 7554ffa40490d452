import { useSuspenseQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { AppCards } from '../apps/app-cards.tsx';
import { cardsOf } from '../apps/overview.ts';
import { overviewQuery, spacesQuery } from '../data/queries.ts';
import { useSession, whyReadOnly } from '../data/session.tsx';
import { PushPanel } from '../push/push-panel.tsx';
import { SpaceMap } from '../space/space-map.tsx';
import { FirstSteps } from '../ui/first-steps.tsx';
import { useTitle } from '../ui/use-title.ts';
import { NotThere } from './not-there.tsx';

/** Fewer are found by looking. */
const SEARCH_FROM = 9;
/** Those in trouble are first; a thousand cards at once take a browser a second. */
const SHOWN_AT_FIRST = 120;

export function SpacePage() {
  const { guid } = useParams({ from: '/spaces/$guid' });
  const { data: spaces } = useSuspenseQuery(spacesQuery);
  const { data } = useSuspenseQuery(overviewQuery(guid));
  const [wanted, setWanted] = useState('');
  const [showsAll, setShowsAll] = useState(false);
  const readOnly = whyReadOnly(useSession(), guid);
  const space = spaces.find(one => one.guid === guid);
  useTitle(space?.name ?? 'Space');
  if (space === undefined) return <NotThere what="space" />;
  const cards = cardsOf(data);
  const found = cards.filter(({ name }) => name.toLowerCase().includes(wanted.toLowerCase()));
  const shown = showsAll ? found : found.slice(0, SHOWN_AT_FIRST);
  return (
    <>
      <nav className="crumbs" aria-label="Path">
        <Link to="/">Home</Link>
        <span>/</span>
        <span>{space.organization}</span>
      </nav>
      <div className="page-head">
        <h1>{space.name}</h1>
        <span className="quiet">{cards.length === 1 ? '1 app' : `${cards.length} apps`}</span>
        {cards.length >= SEARCH_FROM && (
          <span className="end">
            <input
              className="field"
              type="search"
              aria-label="Find an app"
              placeholder="find an app"
              value={wanted}
              onChange={event => setWanted(event.target.value)}
            />
          </span>
        )}
      </div>
      {cards.length === 0 ? (
        <FirstSteps organization={space.organization} space={space.name} />
      ) : (
        <AppCards cards={shown} />
      )}
      {shown.length < found.length && (
        <p className="show-all">
          <button type="button" className="button" onClick={() => setShowsAll(true)}>
            Show all {found.length}
          </button>
        </p>
      )}
      <div className="below">
        {cards.length > 0 && <SpaceMap spaceGuid={guid} cards={cards} routes={data.routes} />}
        <PushPanel spaceGuid={guid} appName={null} readOnly={readOnly} />
      </div>
    </>
  );
}
