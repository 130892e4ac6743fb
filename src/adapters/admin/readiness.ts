// Whether commands of clients would be served now, and if not, why: one pure function of a snapshot. It does not know
// HTTP or how anything was found out.
// The rule: every reason that holds is told, not only the first, and its code is never renamed: alerts hold it.

import type { BackendSnapshot, DaemonSnapshot } from './snapshot.js';

/** Why the daemon is not ready. */
export type NotReadyCode =
  | 'draining' // we are stopping
  | 'not-configured' // the configuration had problems at the start
  | 'audit-failed' // no record reaches the disk, so strict commands are refused
  | 'audit-reserve' // the disk of the records is full but for its reserve
  | 'backends-down'; // no backend is up

/** A reason with a sentence for people. */
export interface NotReady {
  readonly code: NotReadyCode;
  readonly text: string;
}

/** `partial`: some of its backends are up, others not. */
export type RouteState = 'up' | 'partial' | 'down';

/** What follows from a snapshot. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly NotReady[];
  readonly routes: readonly {
    readonly place: string;
    readonly state: RouteState;
    readonly backends: readonly string[];
  }[];
}

/** Judges a snapshot. One backend that is up is enough: the state of each route says whom the others are missing to. */
export function judgeReadiness(snapshot: DaemonSnapshot): Readiness {
  const { state, journal, backends, routes } = snapshot;
  const reasons: NotReady[] = [];
  if (state === 'closed') {
    const text = `dovegate is not configured: ${snapshot.problems?.[0]?.split('\n', 1).join('') ?? ''}`;
    return { isReady: false, reasons: [{ code: 'not-configured', text }], routes: [] };
  }
  if (state === 'draining') reasons.push({ code: 'draining', text: 'dovegate is stopping' });
  if (journal.state === 'failed') {
    const why = journal.fault === undefined ? '' : `: ${journal.fault.text}`;
    reasons.push({ code: 'audit-failed', text: `no audit record can be written${why}` });
  } else if (journal.space === 'reserve') {
    const text = 'the disk of the audit records is full but for its reserve';
    reasons.push({ code: 'audit-reserve', text });
  }
  if (!backends.some((backend) => backend.isUp)) {
    const why = backends.map((backend) => `${backend.name}: ${backend.text ?? 'down'}`).join('; ');
    reasons.push({ code: 'backends-down', text: `no backend is up (${why})` });
  }
  return {
    isReady: reasons.length === 0,
    reasons,
    routes: routes.map((route) => ({ ...route, state: routeState(route.backends, backends) })),
  };
}

function routeState(names: readonly string[], backends: readonly BackendSnapshot[]): RouteState {
  const up = names.filter((name) => backends.some((backend) => backend.name === name && backend.isUp));
  if (up.length === 0) return 'down';
  return up.length === names.length ? 'up' : 'partial';
}
