/** What can be done, and beside it how to do the same without this page: as a command of cf or cupola, and as a call of the API. */
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useId, useRef, useState } from 'react';
import { mayChange } from '../data/queries.ts';
import { usePlatform } from '../data/session.tsx';
import { Copy } from './copy.tsx';
import { useNotice } from './notice.tsx';

export interface Commands {
  /** Of the real cf CLI; null where it has none. */
  cf: string | null;
  cupola: string;
  api: { method: string; path: string; json?: unknown; yaml?: string };
}

interface Props {
  label: ReactNode;
  commands: Commands;
  run(): Promise<unknown>;
  /** Told when it has been done. */
  done?: string;
  kind?: 'main-action' | 'danger';
  /** Why it cannot be done now: shown as the button's hint. */
  disabledBecause?: string | null;
}

export function Action({ label, commands, run, done, kind, disabledBecause = null }: Props) {
  const client = useQueryClient();
  const notify = useNotice();
  const { mutate, isPending } = useMutation({
    mutationFn: run,
    onSuccess: () => {
      if (done !== undefined) notify({ text: done, tone: 'good' });
    },
    onError: error => notify({ text: error.message, tone: 'bad' }),
    // What it has changed comes by the live stream; should that be away, this is read anew.
    onSettled: () => client.invalidateQueries({ predicate: mayChange }),
  });
  return (
    <span className="joined">
      <button
        type="button"
        className={`button ${kind ?? ''}`}
        disabled={disabledBecause !== null || isPending}
        title={disabledBecause ?? undefined}
        onClick={() => mutate()}
      >
        {label}
      </button>
      <AsCommand commands={commands} />
    </span>
  );
}

export function AsCommand({ commands }: { commands: Commands }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLSpanElement>(null);
  // To the side where there is room.
  const opens = (root.current?.getBoundingClientRect().left ?? 0) > window.innerWidth / 2 ? 'left' : 'right';
  useEffect(() => {
    if (!open) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === 'Escape' : !root.current?.contains(event.target as Node))
        setOpen(false);
    };
    document.addEventListener('keydown', close);
    document.addEventListener('pointerdown', close);
    return () => {
      document.removeEventListener('keydown', close);
      document.removeEventListener('pointerdown', close);
    };
  }, [open]);
  return (
    <span ref={root} className="joined">
      <button
        type="button"
        className="button as-command"
        aria-expanded={open}
        aria-controls={id}
        aria-label="Show this as a command"
        title="As a command"
        onClick={() => setOpen(!open)}
      >
        {'>_'}
      </button>
      {open && <CommandList id={id} commands={commands} opens={opens} />}
    </span>
  );
}

function CommandList({ id, commands, opens }: { id: string; commands: Commands; opens: 'left' | 'right' }) {
  const { api } = usePlatform();
  const { method, path, json } = commands.api;
  const curl = [
    `curl -X ${method} ${api}${path}`,
    `-H "Authorization: $(cf oauth-token)"`,
    ...(json === undefined ? [] : [`-H 'Content-Type: application/json'`, `-d '${JSON.stringify(json)}'`]),
  ].join(' ');
  const shown = [
    ['cupola', `./cupola ${commands.cupola}`],
    ...(commands.cf === null ? [] : [['cf', `cf ${commands.cf}`]]),
    ['API', curl],
  ] as const;
  return (
    <div id={id} className={`commands opens-${opens}`}>
      {shown.map(([name, text]) => (
        <div key={name}>
          <span className="label">{name}</span>
          <div className="command">
            <code>{text}</code>
            <Copy text={text ?? ''} what={`the ${name} form`} />
          </div>
        </div>
      ))}
    </div>
  );
}
