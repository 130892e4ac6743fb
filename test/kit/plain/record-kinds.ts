// A record of each kind, as the gate and the journal make them: lines of a chain, for what must hold of every kind.
import { formatTime } from '../../../src/host/words/instants.js';
import { encodeBody, encodeRecord } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import { type AuditRecord, isOwnRecord, type JournalRecord } from '../../../src/journal/records/record.js';
import { approved, granted, over, requested } from './access-records.js';
import { held, lockExpired, locked, unlockAsked, unlocked } from './lock-records.js';

const time = Date.UTC(2026, 10, 20, 8, 22, 34, 123);
const hex = 'ab'.repeat(32);
const who = { listener: 'support', principal: 'bob@support', policy: 'support', version: hex };
const peer = {
  uid: 1001,
  gid: 1001,
  pid: 4711,
  user: 'bob',
  exe: '/usr/bin/doveadm',
  unit: 'user@1001.service',
};

type Part = Partial<Omit<AuditRecord, 'event'>>;

export const effects = ['read', 'session', 'write', 'admin', 'destroy'] as const;
export const outcomes = [
  'ok',
  'failed',
  'partly',
  'denied',
  'unparsable',
  'limited',
  'unknown',
  'aborted',
  'timeout',
] as const;

export function admission(id: string, more: Part = {}): AuditRecord {
  return {
    time,
    event: 'admission',
    session: `S${id}`,
    id,
    peer,
    ...who,
    rule: 'policy.yaml:8',
    series: '2.4',
    decision: 'allow',
    command: 'quota get',
    user: 'anna@example.org',
    args: ['--', { hmac: hex }],
    effect: 'read',
    backend: 'mail1',
    users: ['anna@example.org'],
    ...more,
  };
}

export function completion(id: string, more: Part = {}): AuditRecord {
  return {
    time: time + 12,
    event: 'completion',
    session: `S${id}`,
    id,
    principal: who.principal,
    command: 'quota get',
    backend: 'mail1',
    upstream: 'mail1#1',
    status: '+',
    outcome: 'ok',
    sent: true,
    rows: 1,
    cells: 4,
    bytes_in: 80,
    bytes_out: 80,
    wait_ms: 0.123,
    first_byte_ms: 1.5,
    duration_ms: 2.25,
    logs: { warning: 1 },
    ...more,
  };
}

const long = 'x'.repeat(9_000);

/** Commands, each with its completion. */
const commands: readonly (readonly [admission: Part, end: Part])[] = [
  ...effects.map((effect) => [{ effect }, {}] as const),
  ...outcomes.map(
    (outcome) => [{}, { outcome, error: 'upstream-lost', sent: outcome !== 'denied' }] as const,
  ),
  [{ command: 'mailbox create', effect: 'write' }, {}],
  [
    { decision: 'deny', command: 'mailbox delete', effect: 'destroy' },
    { outcome: 'denied', denial: 'deny-rule' },
  ],
  [
    {
      peer: { address: '2001:db8::7', certificate: 'CN=jobs' },
      origin: 'net:2001:db8::/64',
      protocol: 'http',
    },
    {},
  ],
  [{ args: [long], command: long, effect: 'write', input: { bytes: 5, hmac: hex } }, {}],
  [{ args: Array.from({ length: 900 }, (_, at) => `word ${at} of many`), users: ['*'] }, {}],
  [
    {
      would: 'denied',
      would_why: 'no-rule',
      shadow: 'served',
      shadow_why: 'allowed',
      client: 1,
      case: 'keep',
      tag: 'a1',
      written: 'Anna@example.org',
      for: 'E1',
    },
    {},
  ],
  [
    { backends: ['mail1', 'mail2'], users: ['anna@example.org', 'bob@example.org'], reason: 'ticket 17' },
    { backends: [{ backend: 'mail1', outcome: 'ok', sent: true, cells: 2 }], outcome: 'partly' },
  ],
  [{ user: 'evil\u001b]0;x\u0007\u202e@example.org', users: [], principal: '-', peer: {} }, {}],
];

/** Every kind: all events, with all their actions. Commands come in pairs. */
export const everyKind: readonly JournalRecord[] = [
  {
    time,
    event: 'checkpoint',
    journal: 'ab'.repeat(16),
    format: 1,
    program: 'dovegate 0.1.0',
    segment: '00000001.jsonl',
    segment_hash: hex,
    head: hex,
    oldest_seq: 1,
    key: 'a2V5',
    signature: 'c2ln',
    next_key: 'a2V5',
    open_seq: 7,
    steps_ms: -12.5,
    earliest: formatTime(time),
    carries: 2,
  },
  {
    time,
    event: 'start',
    journal: 'ab'.repeat(16),
    format: 1,
    program: 'dovegate 0.1.0',
    version: hex,
    catalog: hex,
    policies: hex,
    was: hex,
    recovered: 3,
    ring: 'missing',
    lost: 'unknown',
    torn: { file: 'torn.1', bytes: 17, sha256: hex },
    appended: { file: 'appended.1', bytes: 17, sha256: hex },
    last_seq: 9,
    last_hash: hex,
    error: 'journal-cut',
  },
  { time, event: 'stop', lost: 0 },
  { time, event: 'retire', segment: '00000001.jsonl', segment_hash: hex, until: formatTime(time), by: 'age' },
  { time, event: 'clock', step_ms: -3_600_000, steps_ms: -3_600_000 },
  { time, event: 'reload', version: hex, by: 'root', policies: hex, was: hex, outcome: 'ok' },
  { time, event: 'operator', action: 'drain', by: 'root', peer: { uid: 0 }, backend: 'mail1', deed: 'D1' },
  { time, event: 'operator', action: 'drain', by: 'root', deed: 'D1', outcome: 'ok' },
  { time, event: 'operator', action: 'page-sign-in', by: 'page:anna', args: ['how=link'] },
  { time, event: 'operator', action: 'audit-search', by: 'page:anna', args: ['user=bob', 'limit=50'] },
  { time, event: 'session-open', session: 'S1', ...who, peer },
  { time, event: 'session-close', session: 'S1', ...who, reason: 'peer-ended' },
  { time, event: 'log', session: 'S1', id: 'E1', backend: 'mail1', level: 'error', text: 'disk full' },
  { time, event: 'limit', principal: 'bob@support', action: 'refused', count: 15, origin: 'uid:1001' },
  ...(['down', 'stuck', 'up', 'cost', 'stop'] as const).map(
    (action): JournalRecord => ({
      time,
      event: 'backend',
      action,
      backend: 'mail1',
      error: 'dial-refused',
      count: 3,
      requesters: 2,
      duration_ms: 1_000,
    }),
  ),
  { time, event: 'journal', action: 'down', error: 'audit-reserve', reason: 'its disk is full' },
  requested('R1', time),
  approved('R1', time),
  granted('R1', time, { approvals: 2, quiet_ms: 86_400_000 }),
  ...(['refused', 'revoked', 'expired', 'used-up', 'ended', 'reviewed'] as const).map((action) =>
    over(action, 'R1', time, 'grant', { used: 2, carried: true, at: formatTime(time) }),
  ),
  over('expired', 'R2', time, 'request'),
  locked('L1', time, { identities: Array.from({ length: 120 }, (_, at) => `key:carol-${at}`) }),
  held('L2', time),
  unlockAsked('L2', time),
  unlocked('L1', time),
  lockExpired('L1', time),
  ...commands.flatMap(([first, end], at) => [admission(`E${at}`, first), completion(`E${at}`, end)]),
];

/** Their lines, with those of long arguments, without LF. */
export function linesOf(records: readonly JournalRecord[] = everyKind): string[] {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  return records
    .flatMap((record) => (isOwnRecord(record) ? [encodeBody(record)] : encodeRecord(record)))
    .map((body) => ledger.seal(body).trimEnd());
}

/** The command of the examples in docs/siem.md: a mailbox is deleted over a UNIX socket. */
export function pageLines(): string[] {
  const command = 'mailbox delete';
  const ids = { session: '01KAGXV2M3S7R0W8YB5T6N9PQA', id: '01KAGXV2M4D1E9F3G7H2J5K8MB' };
  const asked = { ...ids, command, args: ['--', 'Archive'], effect: 'destroy', reason: 'ticket 4711' };
  const first = admission('', {
    ...asked,
    peer: { uid: 1001, pid: 4711, user: 'bob', exe: '/usr/bin/doveadm' },
  });
  const end = { ...ids, command, rows: 0, cells: 0, bytes_in: 3, bytes_out: 3, logs: {} };
  return linesOf([first, completion('', end)]);
}
