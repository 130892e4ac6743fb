// The keys of a record between `seq` and `prev`, in the order of the file: one row for each. Encoder, views, filters and exports use this
// table. A key of `AuditRecord` or `OwnRecord` without a row does not compile.

import type {
  OwnRecord,
  RecordedBounds,
  RecordedInput,
  RecordedPart,
  RecordedPeer,
  Redacted,
  TornTail,
} from './record.js';

/**
 * How a value is written, for its JSON Schema; absent: a text, or an object with `members`. `ms`: a number with up to three decimals.
 * `digest`: lower-case hex of SHA-256.
 */
export type Form =
  | 'count'
  | 'ms'
  | 'step'
  | 'flag'
  | 'true'
  | 'time'
  | 'digest'
  | 'texts'
  | 'args'
  | 'parts'
  | 'lost';

interface Row {
  readonly form?: Form;
  /** A frequent text from a small set. */
  readonly isWord?: true;
  readonly members?: readonly string[];
  /**
   * `command`: the line alone determines it, so records with the same arguments have the same value. `own`: only in the journal's own
   * records. `others`: never in these. `added`: added by the journal to a long admission. `origin`: written only where it adds something.
   */
  readonly of?: 'command' | 'own' | 'others' | 'added' | 'origin';
  /** Shown in a limited view, in records of its users. Absent: hidden there. */
  readonly isShown?: true;
  readonly column?: number;
  /** Omitted by `tail`. */
  readonly isQuiet?: true;
}

type Stored = Exclude<keyof OwnRecord, 'time' | 'event'>;
type Added = 'argument_records' | 'argument_hash';

const own = { of: 'own' } as const;
const others = { of: 'others' } as const;
const command = { of: 'command' } as const;
const quiet = { isQuiet: true } as const;
const shown = { isShown: true } as const;

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
const boundKeys = namesOf<keyof RecordedBounds>({ rule: 1, line: 1, credential: 1, login: 1, uid: 1 });
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
  format: { form: 'count', ...own },
  session: { column: 3, ...quiet, ...shown },
  id: { column: 2, ...shown },
  for: { column: 34, ...shown },
  protocol: { isWord: true, ...shown },
  tag: { ...shown },
  listener: { isWord: true, column: 4, ...shown },
  peer: { members: peerKeys, ...quiet, ...shown },
  origin: { of: 'origin', ...shown },
  principal: { isWord: true, ...command, column: 5, ...shown },
  policy: { isWord: true, ...command, column: 15, ...shown },
  version: { isWord: true, ...command, ...quiet, ...shown },
  rule: { isWord: true, ...command, column: 16, ...shown },
  series: { isWord: true, ...command, ...quiet, ...shown },
  decision: { isWord: true, ...command, column: 6, ...shown },
  reason: { ...command, column: 18, ...shown },
  command: { isWord: true, ...command, column: 9, ...shown },
  user: { isWord: true, ...command, column: 11, ...shown },
  written: { ...command, ...shown },
  args: { form: 'args', ...command, column: 10, ...shown },
  input: { members: inputKeys, ...command, ...shown },
  effect: { isWord: true, ...command, column: 12, ...shown },
  backend: { isWord: true, ...command, column: 13, ...shown },
  upstream: { isWord: true, ...command, column: 14, ...shown },
  backends: { form: 'parts', ...command, ...shown },
  matches: { form: 'count', ...command, ...shown },
  program: { ...own },
  catalog: { ...quiet },
  policies: { ...quiet },
  was: { ...quiet },
  segment: { ...own },
  segment_hash: { form: 'digest', ...own, ...quiet },
  head: { form: 'digest', ...own, ...quiet },
  oldest_seq: { form: 'count', ...own },
  key: { ...own, ...quiet },
  signature: { ...own, ...quiet },
  action: { column: 33, ...shown },
  deed: { ...others, ...quiet },
  by: {},
  count: { form: 'count', column: 37, ...shown },
  requesters: { form: 'count', ...shown },
  level: { ...shown },
  text: { ...shown },
  status: { isWord: true, column: 8, ...shown },
  outcome: { isWord: true, column: 7, ...shown },
  denial: { isWord: true, ...others, column: 35, ...shown },
  sent: { form: 'flag', column: 19, ...shown },
  rows: { form: 'count', column: 20, ...shown },
  cells: { form: 'count', column: 21, ...shown },
  bytes_in: { form: 'count', column: 22, ...shown },
  bytes_out: { form: 'count', column: 23, ...shown },
  wait_ms: { form: 'ms', column: 24, ...shown },
  first_byte_ms: { form: 'ms', column: 25, ...shown },
  duration_ms: { form: 'ms', column: 26, ...shown },
  logs: { members: levels, ...shown },
  client: { form: 'count', ...shown },
  users: { form: 'texts', column: 31, ...shown },
  case: { isWord: true, ...shown },
  next_key: { ...own },
  open_seq: { form: 'count', ...own },
  step_ms: { form: 'step', ...own },
  steps_ms: { form: 'step', ...own },
  earliest: { form: 'time', ...own },
  recovered: { form: 'count', ...own },
  ring: { ...own },
  lost: { form: 'lost', ...own },
  torn: { members: tailKeys, ...own },
  last_seq: { form: 'count', ...own },
  last_hash: { form: 'digest', ...own },
  appended: { members: tailKeys, ...own },
  carries: { form: 'count', ...own },
  until: { form: 'time', ...shown },
  to: { isWord: true, ...others, ...shown },
  request: { ...others, ...shown },
  grant: { ...others, column: 32, ...shown },
  scope: { isWord: true, ...others, ...shown },
  lock: { ...others, ...shown },
  parts: { form: 'count', ...others, ...quiet },
  approvals: { form: 'count', ...others, ...shown },
  uses: { form: 'count', ...others, ...shown },
  quiet_ms: { form: 'count', ...others, ...shown },
  used: { form: 'count', ...others, ...shown },
  identities: { form: 'texts', ...others, ...quiet },
  bound: { members: boundKeys, ...others, ...quiet },
  carried: { form: 'true', ...others, ...shown },
  at: { form: 'time', ...others, ...shown },
  would: { isWord: true, ...others, column: 17, ...shown },
  would_why: { ...others, ...shown },
  shadow: { isWord: true, ...others, column: 36, ...shown },
  shadow_why: { ...others, ...shown },
  argument_records: { form: 'count', of: 'added', ...shown },
  argument_hash: { form: 'digest', of: 'added' },
  error: { column: 27, ...shown },
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
