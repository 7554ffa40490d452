/** Parts of a page whose code is loaded when they are shown. */
import { type ComponentType, type LazyExoticComponent, lazy } from 'react';

/** Before each further try: Chromium gives up every request when a network of the machine comes or goes, as `fetchSafely` says. */
const RETRY_PAUSES_MS = [100, 500, 2_000];

/** A component of a file that is not part of the first view. Where its code cannot be had, as after an upgrade, the rest of the page stays and it says so. */
export function later<P extends object>(
  what: string,
  load: () => Promise<ComponentType<P>>,
): LazyExoticComponent<ComponentType<P>> {
  return lazy(async () => {
    for (let tried = 0; ; tried++) {
      try {
        return { default: await load() };
      } catch {
        const pauseMs = RETRY_PAUSES_MS[tried];
        if (pauseMs === undefined) return { default: () => <NotLoaded what={what} /> };
        await new Promise(resolve => setTimeout(resolve, pauseMs));
      }
    }
  });
}

function NotLoaded({ what }: { what: string }) {
  return (
    <section className="sheet">
      <p className="body quiet">{what} could not be loaded. Load this page anew.</p>
    </section>
  );
}
