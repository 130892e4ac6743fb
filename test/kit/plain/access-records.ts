// Records of temporary access as the gate makes them, for the tests of the journal and of its readers.

import { formatTime } from '../../../src/host/words/instants.js';
import type { AccessRecord } from '../../../src/journal/records/record.js';

export const owner = 'bob@support';
export const approver = 'carol@leads';

type Change = Partial<Omit<AccessRecord, 'event' | 'action'>>;

function access(action: string, time: number, change: Change): AccessRecord {
  return { time, event: 'access', action, users: ['anna@example.com'], ...change };
}

/** A request for one command, which expires after a day. */
export function requested(id: string, time: number, change: Change = {}): AccessRecord {
  return access('requested', time, {
    session: 'S1',
    listener: 'support',
    peer: { uid: 1001, user: 'bob' },
    principal: owner,
    policy: 'support',
    version: 'aa11',
    rule: 'policy.yaml:8',
    reason: 'ticket 4711',
    command: 'fetch',
    user: 'anna@example.com',
    args: ['hdr.subject', 'mailbox', 'INBOX', 'all'],
    effect: 'read',
    matches: 12,
    duration_ms: 3_600_000,
    until: formatTime(time + 86_400_000),
    request: id,
    scope: 'command',
    approvals: 1,
    uses: 3,
    identities: ['user:bob', 'uid:1001'],
    bound: { rule: 'ab'.repeat(32), line: 'cd'.repeat(32), login: '1001' },
    ...change,
  });
}

export function approved(id: string, time: number, change: Change = {}): AccessRecord {
  const who = {
    listener: 'leads',
    peer: { uid: 1002 },
    principal: approver,
    policy: 'leads',
    version: 'bb22',
  };
  return access('approved', time, { ...who, to: owner, request: id, identities: ['user:carol'], ...change });
}

/** For an hour and three uses. */
export function granted(id: string, time: number, change: Change = {}): AccessRecord {
  const until = formatTime(time + 3_600_000);
  return access('granted', time, {
    principal: approver,
    duration_ms: 3_600_000,
    to: owner,
    request: id,
    grant: id,
    until,
    uses: 3,
    ...change,
  });
}

/** `request`: of an undecided one; else of a grant. */
export function over(
  action: 'refused' | 'revoked' | 'expired' | 'used-up' | 'ended' | 'reviewed',
  id: string,
  time: number,
  of: 'request' | 'grant' = 'grant',
  change: Change = {},
): AccessRecord {
  return access(action, time, { principal: approver, to: owner, [of]: id, ...change });
}

/** The records of a live grant. */
export function grantRecords(id: string, time: number, change: Change = {}): AccessRecord[] {
  const { users } = change;
  const of = users === undefined ? {} : { users };
  return [requested(id, time, change), approved(id, time + 1, of), granted(id, time + 2, of)];
}
