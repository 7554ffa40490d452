import { useQueryClient } from '@tanstack/react-query';
import { Link, Outlet, useRouter } from '@tanstack/react-router';
import { Suspense, useState } from 'react';
import { sessionQuery } from '../data/queries.ts';
import { useSession } from '../data/session.tsx';
import { useLive } from '../live/live-context.ts';
import { NoticeBoard, useNotice } from './notice.tsx';
import { Palette } from './palette.tsx';
import { keepTheme, readTheme, THEMES } from './theme.ts';
import { clock } from './time.ts';

export function Shell() {
  return (
    <NoticeBoard>
      <a className="skip" href="#main">
        To the content
      </a>
      <Bar />
      <main className="main" id="main">
        <Suspense fallback={<p className="quiet">Reading…</p>}>
          <Outlet />
        </Suspense>
      </main>
    </NoticeBoard>
  );
}

function Bar() {
  const { user, csrf_token } = useSession();
  const client = useQueryClient();
  const notify = useNotice();
  const signOut = async (): Promise<void> => {
    const answer = await fetch('/dashboard/session', {
      method: 'DELETE',
      headers: { 'x-csrf-token': csrf_token },
    }).catch(() => null);
    // 401: it has ended before.
    if (answer === null || !(answer.ok || answer.status === 401)) {
      const why = answer === null ? 'the API does not answer' : `the API answered ${answer.status}`;
      return notify({ tone: 'bad', text: `You are still signed in: ${why}. Load this page anew and sign out again.` });
    }
    client.clear();
    location.assign('/dashboard/');
  };
  return (
    <header className="bar">
      <Link to="/" className="brand">
        <Mark />
        Cupola
      </Link>
      <nav aria-label="Main">
        <Link to="/" activeOptions={{ exact: true }}>
          Home
        </Link>
        {user.is_admin && <Link to="/cluster">Cluster</Link>}
      </nav>
      <div className="bar-end">
        <Palette />
        <LiveMark />
        <ThemeButton />
        <span className="who">{user.name}</span>
        <button type="button" className="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </div>
    </header>
  );
}

/** Whether what is shown is of now. */
function LiveMark() {
  const { staleSince, hasBegun } = useLive();
  if (staleSince !== null)
    return (
      <span className="live tone-moving" role="status">
        stale since {clock(staleSince).slice(0, 8)}
      </span>
    );
  return (
    <span className="live quiet" role="status">
      {hasBegun ? 'live' : 'connecting'}
    </span>
  );
}

/** A cupola furnace with its fire. */
function Mark() {
  return (
    <svg
      width="20"
      height="20"
      viewBox="0 0 32 32"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.6"
      aria-hidden="true"
    >
      <path d="M10 3h12v7l4 18H6l4-18z" />
      <path d="M13 22c0-3 3-4 3-8 2.6 2 4 4.6 4 7a3.5 3.5 0 0 1-7 1z" fill="currentColor" stroke="none" />
    </svg>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(readTheme);
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  return (
    <button
      type="button"
      className="button plain"
      title={`Change to ${next}`}
      onClick={() => {
        keepTheme(next);
        setTheme(next);
      }}
    >
      <span className="hidden-label">Colours: </span>
      {theme === 'system' ? 'auto' : theme}
    </button>
  );
}

/** In place of a page that could not be read. */
export function Failure({ error }: { error: unknown }) {
  const router = useRouter();
  const client = useQueryClient();
  return (
    <main className="main">
      <div className="page-head">
        <h1>This page could not be read.</h1>
      </div>
      <p className="refusal">{error instanceof Error ? error.message : String(error)}</p>
      <p>
        <button
          type="button"
          className="button"
          onClick={() => {
            void client.resetQueries({ queryKey: sessionQuery.queryKey });
            void router.invalidate();
          }}
        >
          Try again
        </button>
      </p>
    </main>
  );
}
