/** Ctrl-K: to any app, space or page, to a part of the page that is open, or to what can be done with its app, by a few letters of its name. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useParams } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { changeState } from '../app/commands.ts';
import { carryOut } from '../app/do.ts';
import { cardsOf } from '../apps/overview.ts';
import { mayChange, overviewQuery, spacesQuery } from '../data/queries.ts';
import { useSession, whyReadOnly } from '../data/session.tsx';
import { useNotice } from './notice.tsx';
import { bestOf } from './rank.ts';
import { StateWord } from './state-word.tsx';

const SHOWN_MAX = 12;

export function Palette() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => {
    const open = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() !== 'k' || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      setOpen(true);
    };
    document.addEventListener('keydown', open);
    return () => document.removeEventListener('keydown', open);
  }, []);
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
  }, [isOpen]);
  return (
    <>
      <button type="button" className="button plain" onClick={() => setOpen(true)}>
        Go to <kbd>Ctrl K</kbd>
      </button>
      <dialog ref={dialog} className="palette" aria-label="Go to" onClose={() => setOpen(false)}>
        {isOpen && <Choices close={() => dialog.current?.close()} />}
      </dialog>
    </>
  );
}

function Choices({ close }: { close(): void }) {
  const { data: overview } = useQuery(overviewQuery(null));
  const { data: spaces = [] } = useQuery(spacesQuery);
  const [typed, setTyped] = useState('');
  const [at, setAt] = useState(0);
  const navigate = useNavigate();
  const pages = usePages();
  const acts = useActs();
  const [parts] = useState(partsOfPage);
  const nameOf = new Map(spaces.map(space => [space.guid, `${space.organization} / ${space.name}`]));
  const all = [
    ...(overview === undefined ? [] : cardsOf(overview)).map(card => ({
      key: card.guid,
      name: card.name,
      about: nameOf.get(card.spaceGuid) ?? '',
      health: card.health,
      go: () => navigate({ to: '/apps/$guid', params: { guid: card.guid } }),
    })),
    ...spaces.map(space => ({
      key: space.guid,
      name: space.name,
      about: `space of ${space.organization}`,
      health: null,
      go: () => navigate({ to: '/spaces/$guid', params: { guid: space.guid } }),
    })),
    ...pages,
    ...acts,
    ...parts,
  ];
  const shown = bestOf(all, typed).slice(0, SHOWN_MAX);
  const chosen = Math.min(at, shown.length - 1);
  const go = (index: number): void => {
    close();
    void shown[index]?.go();
  };
  return (
    <>
      <input
        className="field"
        role="combobox"
        aria-label="Name of an app, a space, a part of this page, or what to do"
        aria-expanded="true"
        aria-controls="palette-choices"
        aria-activedescendant={chosen < 0 ? undefined : `choice-${chosen}`}
        // biome-ignore lint/a11y/noAutofocus: this dialog was opened to type in it.
        autoFocus
        placeholder="an app, a space, a part of this page, or what to do"
        value={typed}
        onChange={event => {
          setTyped(event.target.value);
          setAt(0);
        }}
        onKeyDown={event => {
          if (event.key === 'ArrowDown') setAt(Math.min(chosen + 1, shown.length - 1));
          else if (event.key === 'ArrowUp') setAt(Math.max(0, chosen - 1));
          else if (event.key === 'Enter') go(chosen);
          else return;
          event.preventDefault();
        }}
      />
      <div id="palette-choices" role="listbox" aria-label="Found">
        {shown.map((choice, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are the field's, which keeps the focus.
          <div
            key={choice.key}
            id={`choice-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => go(index)}
          >
            <span>{choice.name}</span>
            <span className="quiet small">{choice.about}</span>
            {choice.health !== null && <StateWord health={choice.health} />}
          </div>
        ))}
      </div>
      {shown.length === 0 && <p className="quiet">Nothing of that name.</p>}
    </>
  );
}

interface Choice {
  key: string;
  name: string;
  about: string;
  health: null;
  go(): unknown;
}

function usePages(): Choice[] {
  const navigate = useNavigate();
  const { user } = useSession();
  const home = { key: 'home', name: 'Home', about: 'page', health: null, go: () => navigate({ to: '/' }) };
  const cluster = {
    key: 'cluster',
    name: 'Cluster',
    about: 'page',
    health: null,
    go: () => navigate({ to: '/cluster' }),
  };
  return user.is_admin ? [home, cluster] : [home];
}

/** With the app whose page is open, if its user may. */
function useActs(): Choice[] {
  const { guid } = useParams({ strict: false });
  const { data } = useQuery(overviewQuery(null));
  const client = useQueryClient();
  const notify = useNotice();
  const session = useSession();
  const app = data?.apps.find(one => one.guid === guid);
  if (app === undefined || whyReadOnly(session, app.relationships?.space?.data?.guid ?? null) !== null) return [];
  return (app.state === 'STARTED' ? (['restart', 'stop'] as const) : (['start'] as const)).map(action => ({
    key: action,
    name: `${action.charAt(0).toUpperCase()}${action.slice(1)} ${app.name}`,
    about: `cf ${changeState(app, action).cf}`,
    health: null,
    go: async () => {
      try {
        await carryOut(changeState(app, action));
        notify({ text: `${app.name}: ${action} is under way.`, tone: 'good' });
      } catch (error) {
        notify({ text: error instanceof Error ? error.message : String(error), tone: 'bad' });
      } finally {
        await client.invalidateQueries({ predicate: mayChange });
      }
    },
  }));
}

/** By their headings: what a page has is not told here once more. The first thing in it that takes keys gets the focus. */
function partsOfPage(): Choice[] {
  return [...document.querySelectorAll<HTMLElement>('main section[aria-labelledby]')].flatMap((section, at) => {
    const name = section.querySelector('h2')?.textContent ?? '';
    const go = (): void => {
      section.scrollIntoView({ block: 'start' });
      section
        .querySelector<HTMLElement>('input:not([hidden]), select, button:not(:disabled, .as-command), a, summary')
        ?.focus();
    };
    return name === '' ? [] : [{ key: `part-${at}`, name, about: 'part of this page', health: null, go }];
  });
}
