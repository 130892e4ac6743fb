// Requests for access that this person may decide about, for the screen and for the number in the menu. Asked for again and again, because
// a request is worth nothing an hour later; nobody else's page asks.

import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { AccessItem } from '../domain/page/access.js';
import type { Approvals } from '../domain/page/api.js';
import { sentenceOf } from './asked.js';
import { mayDo, type Session } from './session.js';

const everyMs = 10_000;

export interface ApprovalsState {
  /** Undefined: not known yet, or refused. */
  readonly approvals: readonly AccessItem[] | undefined;
  readonly fault: string | undefined;
  readonly askAgain: () => void;
}

const nothing: ApprovalsState = { approvals: undefined, fault: undefined, askAgain: () => undefined };

export const ApprovalsContext = createContext<ApprovalsState>(nothing);

export function useApprovals(): ApprovalsState {
  return useContext(ApprovalsContext);
}

/** How many wait for this person. */
export function waitingFor({ approvals = [] }: ApprovalsState): number {
  return approvals.filter(({ may }) => may.includes('approve') || may.includes('review')).length;
}

export function useFollowingApprovals(session: Session): ApprovalsState {
  const [asked, setAsked] = useState(0);
  const [state, setState] = useState<Pick<ApprovalsState, 'approvals' | 'fault'>>(nothing);
  const isApprover = mayDo(session, 'approve');
  useEffect(() => {
    if (!isApprover) return undefined;
    const end = new AbortController();
    const ask = (): void => {
      if (document.visibilityState === 'hidden') return;
      session.api.json<Approvals>('GET /api/approvals', { signal: end.signal }).then(
        ({ items }) => setState({ approvals: items, fault: undefined }),
        (error: unknown) => {
          if (!end.signal.aborted) setState({ approvals: undefined, fault: sentenceOf(error) });
        },
      );
    };
    ask();
    const timer = window.setInterval(ask, everyMs);
    document.addEventListener('visibilitychange', ask);
    return () => {
      end.abort();
      window.clearInterval(timer);
      document.removeEventListener('visibilitychange', ask);
    };
  }, [session, isApprover, asked]);
  return { ...state, askAgain: () => setAsked((before) => before + 1) };
}
