// A request for temporary access, as programs get it.
import type { AccessItem } from '../../../src/gate/access/access-item.js';

/** It waits for its only approval. */
export const accessItem: AccessItem = {
  id: '01KAF3W2Q8T5R1V0XH9M4D6CZE',
  state: 'requested',
  to: 'anna@support',
  policy: 'support',
  users: ['bob@example.com'],
  command: 'fetch hdr.subject mailbox INBOX all',
  effect: 'read',
  place: 'dovegate.yaml:12',
  scope: 'command',
  reason: 'ticket 4711',
  approvals: 1,
  approved_by: [],
  asked: '2026-11-26T10:00:00Z',
  until: '2026-11-27T10:00:00Z',
  for_ms: 3_600_000,
  uses: 1,
  used: 0,
  break_glass: false,
  mine: true,
  may: ['revoke'],
};
