import { usePlatform, useSession } from '../data/session.tsx';
import { Copy } from './copy.tsx';

/** What to type to get a first app here: the exact commands for this server and this space. */
export function FirstSteps({ organization, space }: { organization: string; space: string }) {
  const { api } = usePlatform();
  const { user } = useSession();
  const target = `-a ${api} -u ${user.name} -o ${organization} -s ${space}`;
  return (
    <section className="sheet" aria-labelledby="first-title">
      <header>
        <h2 id="first-title">Push a first app</h2>
      </header>
      <div className="body stack">
        <p>
          In the folder of an app, or in that of an example (<code>examples/node-hello</code>):
        </p>
        {[
          ['with our CLI', `./cupola login ${target} && ./cupola push my-app`],
          ['with cf', `cf login ${target} && cf push my-app`],
        ].map(([name = '', text = '']) => (
          <div key={name}>
            <span className="label">{name}</span>
            <div className="command">
              <code>{text}</code>
              <Copy text={text} what={`the commands ${name}`} />
            </div>
          </div>
        ))}
        <p className="quiet">It appears here while it is staged.</p>
      </div>
    </section>
  );
}
