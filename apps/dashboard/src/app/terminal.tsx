import type { App } from '../data/read.ts';
import { Copy } from '../ui/copy.tsx';
import { word } from './commands.ts';

/** The place of a terminal in an instance, until the API has one. */
export function Terminal({ app }: { app: App }) {
  const command = `cf run-task ${word(app.name)} --command "ls -la"`;
  return (
    <section className="sheet" aria-labelledby="terminal-title">
      <header>
        <h2 id="terminal-title">Terminal</h2>
      </header>
      <div className="body stack">
        <p className="quiet small">
          A shell in an instance, as by <code>cf ssh {word(app.name)}</code>, is not there yet. One command runs as a
          task:
        </p>
        <div className="command">
          <code>{command}</code>
          <Copy text={command} what="the command of a task" />
        </div>
      </div>
    </section>
  );
}
