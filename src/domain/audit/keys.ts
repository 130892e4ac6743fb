// The keys of a record between `seq` and `prev`, in the order of the file: one row for each. Encoder, views, filters and exports use this
// table. A key of `AuditRecord` or `OwnRecord` without a row does not compile.

import type { OwnRecord, RecordedInput, RecordedPart, RecordedPeer, Redacted, TornTail } from './record.js';

interface Row {
  /** A frequent text from a small set. */
  readonly isWord?: true;
  /** For an object, its keys in their order. */
  readonly members?: readonly string[];
  /**
   * `command`: the line alone determines it, so records with the same arguments have the same value. `own`: only in the journal's own
   * records. `added`: added by the journal to a long admission.
   */
  readonly of?: 'command' | 'own' | 'added';
  /** Absent: shown in a limited view, in records of its users. */
  readonly isHidden?: true;
  /** A column of an exported exchange, and its position. */
  readonly column?: number;
  /** Omitted by `tail`. */
  readonly isQuiet?: true;
}

type Stored = Exclude<keyof OwnRecord, 'time' | 'event'>;
type Added = 'argument_records' | 'argument_hash';

const own = { of: 'own', isHidden: true } as const;
const command = { of: 'command' } as const;
const quiet = { isQuiet: true } as const;

const peerKeys = namesOf<keyof RecordedPeer>({
  uid: 1,
  gid: 1,
  pid: 1,
  user: 1,
  exe: 1,
  exe_unproven: 1,
  unit: 1,
  unit_unproven: 1,
  login_uid: 1,
  address: 1,
  certificate: 1,
});
const inputKeys = namesOf<keyof RecordedInput>({ bytes: 1, hmac: 1 });
const tailKeys = namesOf<keyof TornTail>({ file: 1, bytes: 1, sha256: 1 });
const levels = ['debug', 'info', 'warning', 'error', 'fatal', 'panic'];
/** The keys of an object in a list: of a redacted argument, or of one backend's part in a command. */
export const itemKeys: readonly string[] = namesOf<keyof Redacted | keyof RecordedPart>({
  hmac: 1,
  backend: 1,
  upstream: 1,
  status: 1,
  outcome: 1,
  sent: 1,
  cells: 1,
  bytes_in: 1,
  error: 1,
});

const rows = {
  journal: { ...own, ...quiet },
  format: { ...own },
  session: { column: 3, ...quiet },
  id: { column: 2 },
  for: {},
  protocol: { isWord: true },
  tag: {},
  listener: { isWord: true, column: 4 },
  peer: { members: peerKeys, ...quiet },
  principal: { isWord: true, ...command, column: 5 },
  policy: { isWord: true, ...command, column: 15 },
  version: { isWord: true, ...command, ...quiet },
  rule: { isWord: true, ...command, column: 16 },
  series: { isWord: true, ...command, ...quiet },
  decision: { isWord: true, ...command, column: 6 },
  would: { isWord: true, ...command, column: 17 },
  mode: { isWord: true, ...command },
  reason: { ...command, column: 18 },
  command: { isWord: true, ...command, column: 9 },
  user: { isWord: true, ...command, column: 11 },
  args: { ...command, column: 10 },
  input: { members: inputKeys, ...command },
  effect: { isWord: true, ...command, column: 12 },
  backend: { isWord: true, ...command, column: 13 },
  upstream: { isWord: true, ...command, column: 14 },
  backends: { ...command },
  matches: { ...command },
  program: { ...own },
  catalog: { ...own, ...quiet },
  segment: { ...own },
  segment_hash: { ...own, ...quiet },
  head: { ...own, ...quiet },
  oldest_seq: { ...own },
  key: { ...own, ...quiet },
  signature: { ...own, ...quiet },
  action: {},
  by: { isHidden: true },
  count: {},
  level: {},
  text: {},
  status: { isWord: true, column: 8 },
  outcome: { isWord: true, column: 7 },
  sent: { column: 19 },
  rows: { column: 20 },
  cells: { column: 21 },
  bytes_in: { column: 22 },
  bytes_out: { column: 23 },
  wait_ms: { column: 24 },
  first_byte_ms: { column: 25 },
  duration_ms: { column: 26 },
  logs: { members: levels },
  client: {},
  users: { column: 31 },
  next_key: { ...own },
  open_seq: { ...own },
  step_ms: { ...own },
  steps_ms: { ...own },
  earliest: { ...own },
  recovered: { ...own },
  ring: { ...own },
  lost: { ...own },
  torn: { members: tailKeys, ...own },
  last_seq: { ...own },
  last_hash: { ...own },
  appended: { members: tailKeys, ...own },
  until: { ...own },
  argument_records: { of: 'added' },
  argument_hash: { of: 'added', isHidden: true },
  error: { column: 27 },
} as const satisfies Readonly<Record<Stored | Added, Row>>;

export type RecordKey = keyof typeof rows;

/** In the order of the file. */
export const recordKeys: readonly RecordKey[] = namesOf(rows);

export function rowOf(key: RecordKey): Row {
  return rows[key];
}

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  const names: Name[] = [];
  let name: Name;
  for (name in table) names.push(name);
  return names;
}
