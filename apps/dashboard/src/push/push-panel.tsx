import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import { word } from '../app/commands.ts';
import { refreshApp } from '../data/queries.ts';
import { AsCommand } from '../ui/action.tsx';
import { usePushes } from './pushes.ts';
import { type Chosen, readChosen, readDropped } from './read-files.ts';
import { makeApp, pushTo } from './run-push.ts';

interface Props {
  spaceGuid: string;
  /** Of the app that shall have a new version; null: a new one, named by the user. */
  appName: string | null;
  readOnly: string | null;
}

/** A folder or a zip, dropped or chosen, becomes an app: or the next version of one, without a dropped request. */
export function PushPanel({ spaceGuid, appName, readOnly }: Props) {
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [typed, setTyped] = useState('');
  const [isOver, setOver] = useState(false);
  const [refusal, setRefusal] = useState('');
  const pushes = usePushes();
  const navigate = useNavigate();
  const client = useQueryClient();
  const name = appName ?? typed;
  const { mutate, isPending, error } = useMutation({
    mutationFn: (what: Chosen) => makeApp(name, { spaceGuid, chosen: what }),
    onSuccess: async (app, what) => {
      setChosen(null);
      pushes.begin(app.guid, at => pushTo(app, { ...at, chosen: what }));
      await refreshApp(client, app.guid);
      // Its page tells how the push goes on.
      await navigate({ to: '/apps/$guid', params: { guid: app.guid } });
      scrollTo({ top: 0 });
    },
  });
  const take = (reading: Promise<Chosen>): void => {
    setRefusal('');
    reading.then(
      what => {
        setChosen(what);
        if (appName === null) setTyped(what.name.toLowerCase().replace(/[^\w.-]+/g, '-'));
      },
      (reason: unknown) => setRefusal(reason instanceof Error ? reason.message : String(reason)),
    );
  };
  const flags = chosen?.kind === 'archive' ? ` -p ${word(chosen.file.name)}` : '';
  const command = `push ${word(name === '' ? 'NAME' : name)}${flags}`;
  return (
    <section className="sheet" id="push" aria-labelledby="push-title">
      <header>
        <h2 id="push-title">{appName === null ? 'Push an app' : 'Push a new version'}</h2>
        <span className="end">
          <AsCommand
            commands={{
              cf: command,
              cupola: command,
              api: { method: 'POST', path: `/v3/spaces/${spaceGuid}/actions/apply_manifest` },
            }}
          />
        </span>
      </header>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping has its own way by keyboard, the two buttons inside. */}
      <div
        className="body stack"
        onDragOver={event => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={event => {
          event.preventDefault();
          setOver(false);
          if (readOnly === null) take(readDropped(event.dataTransfer.items));
        }}
      >
        <div className={`drop ${isOver ? 'over' : ''}`}>
          <p>{chosen === null ? 'Drop a folder, a zip, a jar or a war here, or' : describe(chosen)}</p>
          <Choose disabled={readOnly !== null || isPending} take={take} />
        </div>
        {refusal !== '' && <p className="refusal">{refusal}</p>}
        {error !== null && <p className="refusal">{error.message}</p>}
        <div className="row fields">
          {appName === null && (
            <label>
              <span className="label">name</span>
              <br />
              <input className="field mono" value={typed} onChange={event => setTyped(event.target.value)} />
            </label>
          )}
          <button
            type="button"
            className="button main-action"
            disabled={readOnly !== null || chosen === null || name === '' || isPending}
            title={readOnly ?? undefined}
            onClick={() => chosen !== null && mutate(chosen)}
          >
            Push
          </button>
          <span role="status" className="quiet small">
            {isPending ? 'Making the app and its route' : ''}
          </span>
        </div>
      </div>
    </section>
  );
}

function describe(chosen: Chosen): string {
  if (chosen.kind === 'archive') return chosen.file.name;
  return `${chosen.name}: ${chosen.files.length} ${chosen.files.length === 1 ? 'file' : 'files'}. Or another:`;
}

function Choose({ disabled, take }: { disabled: boolean; take(reading: Promise<Chosen>): void }) {
  const folder = useRef<HTMLInputElement>(null);
  const archive = useRef<HTMLInputElement>(null);
  return (
    <p className="row" style={{ justifyContent: 'center', marginTop: 8 }}>
      {(
        [
          [folder, 'Choose a folder', true],
          [archive, 'Choose an archive', false],
        ] as const
      ).map(([input, label, isFolder]) => (
        <span key={label}>
          <input
            ref={input}
            type="file"
            hidden
            aria-label={label}
            {...(isFolder ? { webkitdirectory: '' } : { accept: '.zip,.jar,.war' })}
            onChange={event => {
              if (event.target.files !== null && event.target.files.length > 0) take(readChosen(event.target.files));
            }}
          />
          <button type="button" className="button" disabled={disabled} onClick={() => input.current?.click()}>
            {label}
          </button>
        </span>
      ))}
    </p>
  );
}
