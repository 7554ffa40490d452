/** Ctrl-K: to any app or space by a few letters of its name. */
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import { cardsOf } from '../apps/overview.ts';
import { overviewQuery, spacesQuery } from '../data/queries.ts';
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
        aria-label="Name of an app or a space"
        aria-expanded="true"
        aria-controls="palette-choices"
        aria-activedescendant={chosen < 0 ? undefined : `choice-${chosen}`}
        // biome-ignore lint/a11y/noAutofocus: this dialog was opened to type in it.
        autoFocus
        placeholder="an app or a space"
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
