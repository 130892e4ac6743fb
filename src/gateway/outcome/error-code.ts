// The words of the key `error` in records and log lines: why a command was not answered with the backend's own `+`. A closed list,
// because journals and dashboards hold it; no word is renamed or reused. Types only. What each means, and what to do, stands
// in docs/messages.md.

import type { ObstacleCode } from '../../domain/policy/assess.js';
import type { UnjudgeableCode } from '../../domain/policy/judge.js';
import type { UpstreamFaultCode } from '../../ports/upstream-fault.js';
import type { WireFaultCode } from '../../protocol/wire-fault.js';

/** Why a command was not understood, or cannot go anywhere as it was said. */
export type UnreadableCode = UnjudgeableCode | ObstacleCode;

/** Every word of the key. */
export type ErrorCode =
  | UnreadableCode
  | UpstreamFaultCode
  /** What the backend said is not of the protocol. */
  | `reply-${WireFaultCode}`
  /** The auth service could not say who is meant; what follows is the code of the lookup. */
  | `lookup-${string}`
  | 'audit-failed'
  | 'audit-reserve'
  | 'backend-drained'
  | 'client-gone'
  | 'client-slow'
  | 'client-stall'
  | 'draining'
  | 'early-answer'
  | 'input-command-like'
  | 'input-cut'
  | 'input-late'
  | 'input-too-long'
  | 'internal'
  | 'killed'
  | 'limits-full'
  | 'no-route'
  | 'over-limit'
  | 'queue-full'
  | 'queue-timeout'
  | 'referral';
