import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Tone } from '../apps/health.ts';
import { tasksQuery } from '../data/queries.ts';
import type { App, Task } from '../data/read.ts';
import { Action } from '../ui/action.tsx';
import { Since } from '../ui/since.tsx';
import { StateWord } from '../ui/state-word.tsx';
import { cancelTask, runTask } from './commands.ts';
import { carryOut } from './do.ts';

interface Props {
  app: App;
  readOnly: string | null;
}

/** Commands that run once, beside the app, with its files and environment. What they print is in the log. */
export function Tasks({ app, readOnly }: Props) {
  const { data: tasks = [] } = useQuery(tasksQuery(app.guid));
  const [command, setCommand] = useState('');
  const [name, setName] = useState('');
  const [memoryMb, setMemoryMb] = useState(Number.NaN);
  const commands = runTask(app, {
    command: command === '' ? 'COMMAND' : command,
    name,
    memoryMb: Number.isNaN(memoryMb) ? null : memoryMb,
  });
  return (
    <section className="sheet" aria-labelledby="tasks-title">
      <header>
        <h2 id="tasks-title">Tasks</h2>
        <span className="quiet small">run once, with the files and the environment of the app</span>
      </header>
      {tasks.length > 0 && (
        <ul className="lines">
          {tasks.map(task => (
            <Line key={task.guid} app={app} task={task} readOnly={readOnly} />
          ))}
        </ul>
      )}
      <div className="body row fields">
        <label className="grow">
          <span className="label">command</span>
          <br />
          <input
            className="field mono"
            placeholder="npm run migrate"
            autoComplete="off"
            value={command}
            onChange={event => setCommand(event.target.value)}
          />
        </label>
        <label>
          <span className="label">name, if any</span>
          <br />
          <input
            className="field mono"
            autoComplete="off"
            value={name}
            onChange={event => setName(event.target.value)}
          />
        </label>
        <label>
          <span className="label">memory, MB</span>
          <br />
          <input
            className="field number"
            type="number"
            min={1}
            placeholder="1024"
            value={Number.isNaN(memoryMb) ? '' : memoryMb}
            onChange={event => setMemoryMb(event.target.valueAsNumber)}
          />
        </label>
        <Action
          label="Run"
          commands={commands}
          disabledBecause={readOnly ?? (command === '' ? 'Type a command first.' : null)}
          run={async () => {
            await carryOut(commands);
            setCommand('');
            setName('');
          }}
          done="The task is under way. What it prints is in the log."
        />
      </div>
    </section>
  );
}

const TONES: Record<string, Tone> = { SUCCEEDED: 'good', FAILED: 'bad' };

function Line({ app, task, readOnly }: Props & { task: Task }) {
  const commands = cancelTask(app, task);
  const isOver = task.state === 'SUCCEEDED' || task.state === 'FAILED';
  return (
    <li>
      <span className="number">{task.sequence_id}</span>
      <span className="task-state">
        <StateWord health={{ word: task.state.toLowerCase(), tone: TONES[task.state] ?? 'moving' }} />
      </span>
      <div className="grow">
        <span className="mono">{task.command ?? task.name}</span>
        <br />
        <span className="quiet small">
          {task.command === null || task.command === undefined ? '' : `${task.name} · `}
          <Since at={Date.parse(task.created_at)} after=" ago" />
          {task.result?.failure_reason ? ` · ${task.result.failure_reason}` : ''}
        </span>
      </div>
      {!isOver && (
        <Action
          label="Cancel"
          commands={commands}
          disabledBecause={readOnly ?? (task.state === 'CANCELING' ? 'It is being cancelled.' : null)}
          run={() => carryOut(commands)}
          done={`Task ${task.sequence_id} is being cancelled.`}
        />
      )}
    </li>
  );
}
