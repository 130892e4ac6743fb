// A signed journal of any size, as a daemon would have written it: in segments, by default of 64 MiB, chained, with its checkpoints. A
// daemon can go on with it.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createUlidSource } from '../../../../src/gate/daemon/ulid.js';
import { encodeBody } from '../../../../src/journal/records/encode.js';
import { Ledger } from '../../../../src/journal/records/ledger.js';
import type { AuditRecord } from '../../../../src/journal/records/record.js';
import { makeSignKey } from '../../../../src/rules/keys/sign-key.js';

const checkpointEvery = 20_000;
/** user0@example.org and so on. */
const users = 5000;
/** The time of the first record; each exchange is 2 ms after the one before. */
export const journalStartedMs = Date.UTC(2026, 10, 20);

export interface Made {
  readonly directory: string;
  readonly key: ReturnType<typeof makeSignKey>;
  readonly records: number;
  readonly bytes: number;
  readonly segments: number;
}

/** What a journal tells, from when on, and the time from one exchange to the next. */
export interface Told {
  readonly exchange: (count: number, time: number, id: string) => readonly AuditRecord[];
  readonly startedMs: number;
  readonly stepMs: number;
  readonly segmentBytes?: number;
}

/** Without `told` a journal like that of a busy gate: pairs of records, some refusals. */
export function makeJournal(
  directory: string,
  until: { records: number } | { bytes: number },
  told: Told = { exchange, startedMs: journalStartedMs, stepMs: 2 },
): Made {
  const key = makeSignKey();
  const { segmentBytes = 64 << 20 } = told;
  const recordsMax = 'records' in until ? until.records : Number.POSITIVE_INFINITY;
  const bytesMax = 'bytes' in until ? until.bytes : Number.POSITIVE_INFINITY;
  const ledger = new Ledger('dovegate bench', key.secretPem, 'be'.repeat(16));
  const names = { journal: 'be'.repeat(16), format: 1, program: 'dovegate bench' };
  let segments = 0;
  let descriptor = -1;
  let bytes = 0;
  let inSegment = Infinity;
  let held: string[] = [];
  let line = '';
  const flush = (): void => {
    if (descriptor >= 0) writeSync(descriptor, held.join(''));
    held = [];
    // A ledger keeps what ended until it is told that this is on disk.
    ledger.settle();
  };
  const put = (text: string): void => {
    line = text;
    held.push(text);
    bytes += Buffer.byteLength(text);
    inSegment += Buffer.byteLength(text);
    if (held.length >= 1000) flush();
  };
  const rotate = (at: number): void => {
    flush();
    if (descriptor >= 0) closeSync(descriptor);
    const before = `${String(segments).padStart(8, '0')}.jsonl`;
    segments += 1;
    descriptor = openSync(join(directory, `${String(segments).padStart(8, '0')}.jsonl`), 'wx', 0o600);
    inSegment = 0;
    if (segments === 1) put(ledger.seal(encodeBody({ time: at, event: 'start', ...names })));
    else put(ledger.sealSigned({ ...ledger.checkpoint(at), ...ledger.beginSegment(before) }));
  };
  const nextId = createUlidSource();
  const isFull = (): boolean => ledger.seq >= recordsMax - 1 || bytes >= bytesMax;
  let at = told.startedMs;
  for (let count = 0; !isFull(); count += 1) {
    at = told.startedMs + count * told.stepMs;
    if (inSegment >= segmentBytes) rotate(at);
    for (const record of told.exchange(count, at, nextId(at, randomBytes(10))))
      put(ledger.seal(encodeBody(record)));
    if (count % (checkpointEvery / 2) === 0) put(ledger.sealSigned(ledger.checkpoint(at)));
  }
  put(ledger.seal(encodeBody({ time: at + 1, event: 'stop' })));
  put(ledger.sealSigned({ ...ledger.checkpoint(at + 1), action: 'stop' }));
  flush();
  closeSync(descriptor);
  writeFileSync(join(directory, 'checkpoint.json'), line);
  return { directory, key, records: ledger.seq, bytes, segments };
}

/** Admission and completion as the daemon writes them, one in twenty refused. */
export function exchange(count: number, time: number, id: string): AuditRecord[] {
  const isDenied = count % 20 === 7;
  const command = isDenied ? 'mailbox delete' : (['quota get', 'mailbox status', 'search'][count % 3] ?? '');
  const user = `user${count % users}@example.org`;
  const asked = { session: id.slice(0, 20), id, listener: 'support' };
  const principal = `agent${count % 40}@support`;
  const admission: AuditRecord = {
    time,
    event: 'admission',
    ...asked,
    peer: { uid: 1000 + (count % 40), gid: 1000, pid: 4000 + (count % 30_000), user: `agent${count % 40}` },
    principal,
    policy: 'support',
    version: 'ab'.repeat(32),
    rule: isDenied ? undefined : 'dovegate.yaml:24',
    series: '2.3',
    decision: isDenied ? 'deny' : 'allow',
    command,
    user,
    args: command === 'quota get' ? ['--'] : ['--', 'mailbox', 'INBOX', 'savedbefore', '30d'],
    effect: 'read',
    backend: 'mail1',
    users: [user],
    text: isDenied ? 'no rule allows "mailbox delete"' : undefined,
  };
  const ended: AuditRecord = {
    time: time + 1,
    event: 'completion',
    ...asked,
    principal,
    command,
    user,
    backend: 'mail1',
    upstream: isDenied ? undefined : `mail1-${count % 4}`,
    status: isDenied ? '-NOPERM' : '+',
    outcome: isDenied ? 'denied' : 'ok',
    sent: !isDenied,
    cells: isDenied ? undefined : 10,
    bytes_in: isDenied ? undefined : 70,
    bytes_out: isDenied ? 9 : 80,
    wait_ms: 0.05,
    duration_ms: 1.234,
  };
  return [admission, ended];
}
