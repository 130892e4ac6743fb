// Requests for access that this person may decide about, for the screen and for the number in the menu. Asked for repeatedly, because a
// request is worth nothing an hour later, and only for people who may approve.

import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { AccessItem } from '../../gate/access/access-item.js';
import { countWords } from '../../host/words/words.js';
import type { Approvals } from '../answers/api.js';
import { useAgain } from './asked.js';
import { mayDo, type Session } from './session.js';

const everyMs = 10_000;

export interface ApprovalsState {
  /** Undefined: not known yet, or refused. */
  readonly approvals: readonly AccessItem[] | undefined;
  /** Those that are over, the newest first. */
  readonly decided: readonly AccessItem[];
  readonly more: number;
  /** Why this person may approve nothing; undefined: something, or it is not known yet. */
  readonly whyNone: string | undefined;
  readonly fault: string | undefined;
  readonly askAgain: () => void;
}

const nothing: ApprovalsState = {
  approvals: undefined,
  decided: [],
  more: 0,
  whyNone: undefined,
  fault: undefined,
  askAgain: () => undefined,
};

export const ApprovalsContext = createContext<ApprovalsState>(nothing);

export function useApprovals(): ApprovalsState {
  return useContext(ApprovalsContext);
}

/** `2 to approve`, `1 to review`: what this person may do, each with its number. */
export function waitingFor({ approvals = [] }: ApprovalsState): string[] {
  return (['approve', 'review'] as const).flatMap((step) => {
    const count = approvals.filter(({ may }) => may.includes(step)).length;
    return count === 0 ? [] : [`${countWords(count)} to ${step}`];
  });
}

export function useFollowingApprovals(session: Session): ApprovalsState {
  const { value, fault, again } = useAgain<Approvals>(
    mayDo(session, 'approve') ? `${session.me.name} ${session.me.ends}` : undefined,
    () => everyMs,
    (signal) => session.api.json<Approvals>('GET /api/approvals', { signal }),
  );
  if (value === undefined || fault !== undefined) return { ...nothing, fault, askAgain: again };
  const { items, decided = [], more = 0, whyNone } = value;
  return { approvals: items, decided, more, whyNone, fault, askAgain: again };
}
