import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { servicesQuery } from '../data/queries.ts';
import type { App } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { bindService, makeService, unbindService } from './commands.ts';
import { readCredentials } from './credentials.ts';
import { carryOut } from './do.ts';

interface Props {
  app: App;
  readOnly: string | null;
}

/** What the app is given to work with: addresses and secrets of things elsewhere. */
export function Services({ app, readOnly }: Props) {
  const spaceGuid = app.relationships?.space?.data?.guid ?? '';
  const { data: services = [] } = useQuery(servicesQuery(app.guid, spaceGuid));
  return (
    <section className="sheet" aria-labelledby="services-title">
      <header>
        <h2 id="services-title">Services</h2>
        <span className="quiet small">the app finds them in VCAP_SERVICES after a restart</span>
      </header>
      {services.length > 0 && (
        <ul className="lines">
          {services.map(service => (
            <Line key={service.guid} app={app} service={service} readOnly={readOnly} />
          ))}
        </ul>
      )}
      <MakeService app={app} spaceGuid={spaceGuid} readOnly={readOnly} />
    </section>
  );
}

interface Service {
  guid: string;
  name: string;
  binding: string | null;
}

function Line({ app, service, readOnly }: Props & { service: Service }) {
  const { name, binding } = service;
  const commands = binding === null ? bindService(app, service) : unbindService(app, service, binding);
  return (
    <li>
      <span className="grow mono">{name}</span>
      <span className={`small ${binding === null ? 'quiet' : 'tone-good'}`}>
        {binding === null ? 'not bound' : 'bound'}
      </span>
      <Action
        label={binding === null ? 'Bind' : 'Unbind'}
        commands={commands}
        disabledBecause={readOnly}
        run={() => carryOut(commands)}
        done={`${name} is ${binding === null ? 'bound' : 'unbound'}. Restart ${app.name} for it to count.`}
      />
    </li>
  );
}

function MakeService({ app, spaceGuid, readOnly }: Props & { spaceGuid: string }) {
  const [name, setName] = useState('');
  const [typed, setTyped] = useState('');
  const { credentials, why } = readCredentials(typed);
  const wanted = { name: name === '' ? 'NAME' : name, credentials };
  return (
    <details className="more">
      <summary>Make one</summary>
      <div className="body stack">
        <p className="quiet small">
          A database or an account that you have elsewhere: its address and its secrets, which are kept encrypted.
          Services that a broker makes (<code>cf create-service</code>) are not there yet; this is their place.
        </p>
        <label>
          <span className="label">name</span>
          <br />
          <input
            className="field mono"
            autoComplete="off"
            value={name}
            onChange={event => setName(event.target.value)}
          />
        </label>
        <label>
          <span className="label">credentials: name=value a line, or JSON</span>
          <br />
          <textarea
            className="field mono"
            rows={3}
            spellCheck={false}
            placeholder="uri=postgres://user:password@db.example/shop"
            value={typed}
            onChange={event => setTyped(event.target.value)}
          />
        </label>
        <Action
          label="Make"
          commands={makeService(spaceGuid, wanted)}
          disabledBecause={readOnly ?? (name === '' ? 'Name it first.' : why)}
          run={async () => {
            await carryOut(makeService(spaceGuid, { name, credentials }, { isShown: true }));
            setName('');
            setTyped('');
          }}
          done={`${name} is made. Bind it to ${app.name}.`}
        />
      </div>
    </details>
  );
}
