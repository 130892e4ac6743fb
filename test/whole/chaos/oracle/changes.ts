// Contradictions that tests plant into the made-up run, each as a fault of a gate would leave it.
import assert from 'node:assert/strict';
import { arrivalOf, clientOf, type Evidence, type Fields, recordOf, sha, tokenOf } from './synthetic.js';

/** A fault that explains everything from before the run to after it. */
export const trouble = (kind: string): Fields => ({
  at: 1_800_000_000_000,
  until: 1_800_000_200_000,
  kind,
  target: 'gate',
});

export const replyOf = (rows: string, status: string, whole: boolean): Fields => ({
  reply: { status, bytes: rows.length, sha: sha(rows), whole },
});

/** Takes the two records of a command away. */
export function forget(evidence: Evidence, number: number): void {
  const id = recordOf(evidence, 'admission', number).id;
  evidence.records = evidence.records.filter((one) => one.id !== id);
}

/** Changes the samples of the last minute. */
export function setLast(evidence: Evidence, key: string, value: unknown): void {
  for (const one of evidence.samples.slice(2)) one[key] = value;
}

/** Adds samples of a run of 100 s under load. */
export function grow(evidence: Evidence, memoryAt: (at: number) => Record<string, number>): void {
  const one = { process: 'gate', pid: 10, fds: 40, threads: 11 };
  const load = Array.from({ length: 100 }, (_, at) => ({
    ...one,
    at: 1_800_000_006_000 + at * 900,
    ...memoryAt(at),
  }));
  evidence.samples.splice(2, 0, ...load);
}

export function allowDenied(evidence: Evidence): void {
  const run = evidence.run.policies;
  assert.ok(run !== undefined);
  const line = ['', 'ceo@example.com', 'mailbox status', '--', 'messages', tokenOf(8)].join('\t');
  evidence.backend.push({ ...arrivalOf(evidence, 1), conn: 8, line });
  clientOf(evidence, 8).expect = 'any';
}

export function tellNothing(evidence: Evidence): void {
  setStatus(evidence, 5, '-TEMPFAIL');
  clientOf(evidence, 5).logs = ['dovegate: wait [queue-timeout], id 01M'];
  evidence.faults.push(trouble('kill'));
}

export function forgetCommand(evidence: Evidence): void {
  silence(evidence, 3, 'timeout');
  clientOf(evidence, 3).ended = Number(clientOf(evidence, 3).begun) + 60_000;
  evidence.backend = evidence.backend.filter((one) => one.conn !== 3);
  evidence.faults.push(trouble('cut'));
}

export function swapRecords(evidence: Evidence, one: number, other: number): void {
  const places = [one, other].map((number) =>
    evidence.records.indexOf(recordOf(evidence, 'admission', number)),
  );
  const [first = 0, second = 0] = places;
  const moved = evidence.records.splice(first, 2);
  evidence.records.splice(second, 0, ...moved);
}

export function setBoth(evidence: Evidence, number: number, key: string, value: unknown): void {
  recordOf(evidence, 'admission', number)[key] = value;
  recordOf(evidence, 'completion', number)[key] = value;
}

/** A record as the gate writes it, with the reason of command 6 where the contract has its place. */
export function addReason(evidence: Evidence): void {
  const { decision, ...rest } = recordOf(evidence, 'admission', 7);
  const { command, user, args, effect, backend, users, ...head } = rest;
  const own = {
    ...head,
    decision,
    reason: `because ${tokenOf(6)}`,
    command,
    user,
    args,
    effect,
    backend,
    users,
  };
  evidence.records[evidence.records.indexOf(recordOf(evidence, 'admission', 7))] = own;
}

export function setStatus(evidence: Evidence, number: number, status: string): void {
  clientOf(evidence, number).status = status;
  const completion = recordOf(evidence, 'completion', number);
  completion.status = status;
  completion.bytes_out = status.length + 2;
}

export function refuse(
  evidence: Evidence,
  number: number,
  status: string,
  outcome: string,
  error?: string,
): void {
  evidence.backend = evidence.backend.filter((one) => one.conn !== number);
  setStatus(evidence, number, status);
  Object.assign(clientOf(evidence, number), { rows: { bytes: 0, sha: sha('') }, text: '' });
  const { prev, ...completion } = recordOf(evidence, 'completion', number);
  assert.equal(prev, undefined);
  for (const key of ['upstream', 'cells', 'bytes_in']) delete completion[key];
  Object.assign(completion, { sent: false, outcome, ...(error === undefined ? {} : { error }) });
  evidence.records[evidence.records.indexOf(recordOf(evidence, 'completion', number))] = completion;
  if (outcome === 'denied') recordOf(evidence, 'admission', number).decision = 'deny';
}

export function silence(evidence: Evidence, number: number, end: string): void {
  const client = clientOf(evidence, number);
  for (const key of ['status', 'rows', 'text']) delete client[key];
  client.end = end;
}

/** Another principal waits while six commands of the first one are served on the only connection. */
export function passOver(evidence: Evidence): void {
  evidence.run.connections = { mail1: 1 };
  clientOf(evidence, 10).principal = 'bob@support';
  setBoth(evidence, 10, 'principal', 'bob@support');
  Object.assign(recordOf(evidence, 'completion', 10), { wait_ms: 3000.4, duration_ms: 3001 });
}

export function leaveUnread(evidence: Evidence): void {
  clientOf(evidence, 1).unread = true;
  arrivalOf(evidence, 1).reply = { status: '+', bytes: 32 * 2 ** 20, sha: sha(''), whole: true };
}
