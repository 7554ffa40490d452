/** watch: what changes in the targeted space, as it happens. */
import { followStream } from '@cupola/client/stream';
import { readApp } from '@cupola/contract/v3/client-reads';
import type { StreamFrame } from '@cupola/contract/v3/stream';
import { type CliContext, findApp } from '../context.ts';
import { createWatchText, type WatchLine } from '../watch-text.ts';

const APP_WIDTH = 16;
const WHAT_WIDTH = 12;

export async function watch(context: CliContext, name: string | undefined): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const text = createWatchText();
  const app = name === undefined ? null : await findApp(context, name);
  for await (const { guid, name: known } of client.list(readApp, '/v3/apps', { space_guids: space.guid }))
    text.know(guid, known);
  context.note(`Watching ${app === null ? `space ${space.name}` : app.name}. Ctrl-C ends it.`);
  const ended = new AbortController();
  process.once('SIGINT', () => ended.abort());
  await followStream(client, {
    query: { space_guids: space.guid, ...(app === null ? {} : { app_guids: app.guid }) },
    signal: ended.signal,
    frame: frame => {
      if (context.json) return console.log(JSON.stringify(frame));
      for (const line of text.linesOf(frame)) context.say(lineText(line, new Date()));
      const note = noteOf(frame);
      if (note !== null) context.note(note);
    },
    lost: () => context.note('The connection is lost; what happens meanwhile is shown when it is back.'),
  });
}

function lineText([app, what, state]: WatchLine, at: Date): string {
  const time = at.toTimeString().slice(0, 8);
  return `${time}  ${app.padEnd(APP_WIDTH)} ${what.padEnd(WHAT_WIDTH)} ${state}`;
}

/** Beside the changes: that something may be missing. */
function noteOf(frame: StreamFrame): string | null {
  return frame.type === 'reset' ? `${frame.message} (cupola apps)` : null;
}
