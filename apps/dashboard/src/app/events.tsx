import { readCode } from '@cupola/model/causes';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { eventsQuery } from '../data/queries.ts';
import type { AuditEvent } from '../data/read.ts';
import { Since } from '../ui/since.tsx';

/** Shown at first; the page is long. */
const FEW = 10;

export function Events({ guid }: { guid: string }) {
  const { data: events } = useQuery(eventsQuery(guid));
  const [showsAll, setShowsAll] = useState(false);
  if (events === undefined) return null;
  const all = events.filter(isShown);
  const shown = showsAll ? all : all.slice(0, FEW);
  return (
    <section className="sheet" aria-labelledby="events-title">
      <header>
        <h2 id="events-title">Events</h2>
      </header>
      {all.length === 0 ? (
        <p className="body quiet">Nothing has happened to it yet.</p>
      ) : (
        <ul className="events">
          {shown.map(event => (
            <li key={event.guid}>
              <span className="number quiet">
                <Since at={Date.parse(event.created_at)} />
              </span>
              <p>
                {wordsOf(event)} <span className="quiet small">{whoBy(event)}</span>
              </p>
            </li>
          ))}
        </ul>
      )}
      {shown.length < all.length && (
        <p className="body">
          <button type="button" className="copy" onClick={() => setShowsAll(true)}>
            {all.length - shown.length} earlier
          </button>
        </p>
      )}
    </section>
  );
}

/** `jane, cf 8.18.4`. */
function whoBy({ actor, data }: AuditEvent): string {
  return [actor?.name, data?.client].filter(Boolean).join(', ');
}

/** Each crash is told twice, once in the form of older clients. */
const isShown = ({ type }: AuditEvent): boolean => type !== 'app.crash';

/** `audit.app.process.crash` is the API's word; people read: process crash, and how it ended. */
function wordsOf({ type, data }: AuditEvent): string {
  const name = type.replace(/^audit\.(app\.)?/, '').replaceAll(/[._-]/g, ' ');
  const exit = data?.exit_description ?? '';
  const index = data?.index === null || data?.index === undefined ? '' : ` ${data.index}`;
  return exit === '' ? name : `${name}${index}: ${readCode(exit).text}`;
}
