// A touch of a mailbox and the head of a report on it, of which a test says only what matters to it.
import type { ReportHead } from '../../../src/evidence/report/lines.js';
import type { Touch } from '../../../src/evidence/report/touch.js';

export const plainTouch: Touch = {
  time: '2026-11-20T12:00:00.000Z',
  day: '2026-11-20',
  policy: 'support',
  requester: 'carol@support',
  class: 'read',
  kind: 'read',
  reason: '',
  command: 'quota get',
  args: '--',
  user: 'bob@example.com',
  by: 'named',
  reached: 'yes',
  showed: 'no',
  outcome: 'ok',
  why: '',
  countedFor: '',
  countedForRequest: '',
  id: 'E',
  session: 'S',
  listener: 'support',
  backend: 'mail1',
  grant: '',
  approvedBy: '',
  seq: 1,
  completedSeq: 2,
};

export const plainHead: ReportHead = {
  mailbox: 'alice@example.com',
  period: '2026-11-01 to 2026-11-30',
  isComplete: false,
  answer: '2 commands may have deleted something; 2 attempts were denied.',
  isNamed: true,
  similar: [],
  sentences: ['NOT proved complete: one reason stands below', 'the journal begins later'],
  isContentOnly: false,
  madeAt: '2026-12-01T00:00:00.000Z',
  host: 'mail-gate-1.example.com',
  journal: '75fd0ddae32f119d65ad4fe3a84fb632',
};
