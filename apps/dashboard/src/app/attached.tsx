/** What an app is joined to: routes, services, and tasks beside it. Loaded when its page is shown. */
import type { App } from '../data/read.ts';
import { Routes } from './routes.tsx';
import { Services } from './services.tsx';
import { Tasks } from './tasks.tsx';

export function Attached(props: { app: App; readOnly: string | null }) {
  return (
    <>
      <Routes {...props} />
      <Tasks {...props} />
      <Services {...props} />
    </>
  );
}
