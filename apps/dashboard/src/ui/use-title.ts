import { useEffect } from 'react';

/** Of the window; what it is about comes first, where tabs are narrow. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Cupola`;
  }, [title]);
}
