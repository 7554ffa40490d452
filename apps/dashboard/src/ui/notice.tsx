import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from 'react';

export interface Notice {
  text: string;
  tone: 'good' | 'bad';
}

const NoticeContext = createContext<(notice: Notice) => void>(() => undefined);
const SHOWN_MS = 6_000;

/** What was done, or why it was refused. A refusal stays until it is put away. */
export function NoticeBoard({ children }: { children: ReactNode }) {
  const [notice, setNotice] = useState<Notice | null>(null);
  const notify = useCallback((next: Notice) => setNotice(next), []);
  useEffect(() => {
    if (notice?.tone !== 'good') return;
    const timer = setTimeout(() => setNotice(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <NoticeContext value={notify}>
      {children}
      <div role="status" aria-live="polite">
        {notice !== null && (
          <div className={`notice ${notice.tone}`}>
            <p>{notice.text}</p>
            <button type="button" className="copy" onClick={() => setNotice(null)}>
              close
            </button>
          </div>
        )}
      </div>
    </NoticeContext>
  );
}

export const useNotice = (): ((notice: Notice) => void) => useContext(NoticeContext);
