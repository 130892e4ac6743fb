// The keys of a record between `seq` and `prev`, in the order of the file: one row for each. Encoder, views, filters and exports use this
// table, and the types of records are made of it.

export const recordedOutcomes = [
  'ok',
  'failed',
  /** It failed and changes several named things: a part may have been done. */
  'partly',
  'denied',
  'unparsable',
  'limited',
  'unknown',
  'aborted',
  'timeout',
] as const;
export type RecordedOutcome = (typeof recordedOutcomes)[number];

/** A value that can be compared but not read: lower-case hex HMAC-SHA256. */
export interface Redacted {
  readonly hmac: string;
}
export type RecordedArgument = string | Redacted;

export interface RecordedInput {
  readonly bytes: number;
  readonly hmac?: string | undefined;
}

export interface RecordedPart {
  readonly backend: string;
  readonly upstream?: string | undefined;
  readonly status?: string | undefined;
  readonly outcome: RecordedOutcome;
  readonly sent: boolean;
  readonly cells?: number | undefined;
  readonly bytes_in?: number | undefined;
  readonly error?: string | undefined;
}

/** How a value is written, and its type. `ms`: a number with up to three decimals. `digest`: lower-case hex of SHA-256. */
interface Values {
  readonly text: string;
  readonly count: number;
  readonly ms: number;
  readonly step: number;
  readonly flag: boolean;
  readonly true: true;
  readonly time: string;
  readonly digest: string;
  readonly texts: readonly string[];
  readonly args: readonly RecordedArgument[];
  readonly parts: readonly (string | RecordedPart)[];
  readonly lost: number | 'unknown';
}

export type Form = keyof Values;
type Members = Readonly<Record<string, Form>>;

interface Row {
  /** Absent: a text, or an object with `members`. */
  readonly form?: Form;
  /** The closed list of its texts. */
  readonly words?: readonly string[];
  /** A frequent text from a small set. */
  readonly isWord?: true;
  readonly members?: Members;
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

const own = { of: 'own' } as const;
const others = { of: 'others' } as const;
const command = { of: 'command' } as const;
const quiet = { isQuiet: true } as const;
const shown = { isShown: true } as const;

const peer = {
  uid: 'count',
  gid: 'count',
  pid: 'count',
  /** The system's name of the uid; nothing from the client. */
  user: 'text',
  exe: 'text',
  /** Used in place of `exe` and `unit` if the peer may have chosen them. */
  exe_unproven: 'text',
  unit: 'text',
  unit_unproven: 'text',
  login_uid: 'count',
  address: 'text',
  certificate: 'text',
} as const satisfies Members;

const bound = {
  /** Hash of the `on_request` rule with its terms, hex: a changed rule ends its grants. */
  rule: 'text',
  /** Scope `command`: HMAC of the whole canonical line, hex. */
  line: 'text',
  /** Hash of the owner's key, password or certificate. */
  credential: 'text',
  /** Text of the owner's login uid, or `none`; absent: it is not known. */
  login: 'text',
  /** The owner's uid: another user of the same name is somebody else. Absent: the kernel did not say who asked. */
  uid: 'count',
} as const satisfies Members;

const tail = { file: 'text', bytes: 'count', sha256: 'text' } as const satisfies Members;
const input = { bytes: 'count', hmac: 'text' } as const satisfies Members;
/** Lines of channel L by level. */
const logs = {
  debug: 'count',
  info: 'count',
  warning: 'count',
  error: 'count',
  fatal: 'count',
  panic: 'count',
} as const;

type Optional<Of extends Members> = { readonly [Name in keyof Of]?: Values[Of[Name]] | undefined };
/** The client, as far as the kernel or TLS identified it; unknown keys are absent. */
export type RecordedPeer = Optional<typeof peer>;
export type RecordedBounds = Optional<typeof bound>;
/** Bytes after the last whole record that a crash left, kept in a file of their own. */
export type TornTail = { readonly [Name in keyof typeof tail]: Values[(typeof tail)[Name]] };

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
  /** The random id of the journal; with `format` and `program` in start, checkpoint and a segment's first record. */
  journal: { ...own, ...quiet },
  format: { form: 'count', ...own },
  session: { column: 3, ...quiet, ...shown },
  id: { column: 2, ...shown },
  /** In a search that counts mails: the exchange that it counts for. */
  for: { column: 34, ...shown },
  /** The client's protocol; absent: the doveadm protocol. */
  protocol: { words: ['http'], isWord: true, ...shown },
  /** The client's name for the command: the tag of HTTP, `dovegate-tag` over a socket. */
  tag: { ...shown },
  listener: { isWord: true, column: 4, ...shown },
  peer: { members: peer, ...quiet, ...shown },
  /** The origin that limits and shares count: see rules/identity/origin. Written only where the peer does not show it. */
  origin: { of: 'origin', ...shown },
  principal: { isWord: true, ...command, column: 5, ...shown },
  policy: { isWord: true, ...command, column: 15, ...shown },
  /** Hash of the policy; in start, reload and checkpoint, of the configuration. */
  version: { isWord: true, ...command, ...quiet, ...shown },
  rule: { isWord: true, ...command, column: 16, ...shown },
  series: { isWord: true, ...command, ...quiet, ...shown },
  decision: { words: ['allow', 'deny'], isWord: true, ...command, column: 6, ...shown },
  reason: { ...command, column: 18, ...shown },
  command: { isWord: true, ...command, column: 9, ...shown },
  user: { isWord: true, ...command, column: 11, ...shown },
  /** The user as the client wrote it, where that is another text. */
  written: { ...command, ...shown },
  args: { form: 'args', ...command, column: 10, ...shown },
  input: { members: input, ...command, ...shown },
  effect: { isWord: true, ...command, column: 12, ...shown },
  backend: { isWord: true, ...command, column: 13, ...shown },
  upstream: { isWord: true, ...command, column: 14, ...shown },
  backends: { form: 'parts', ...command, ...shown },
  matches: { form: 'count', ...command, ...shown },
  program: { ...own },
  /** In start and reload: the hash of the command tables, and of each file that adds commands. */
  catalog: { ...quiet },
  /** In start, reload and checkpoint: the hash of the list of all policies and of who has which (rules/config/policy-list). */
  policies: { ...quiet },
  /** In start and reload: `policies` of the start or reload before. Absent: there was none. */
  was: { ...quiet },
  /** In a segment's first record: the file before it and its last hash. In retire: the file that was removed. */
  segment: { ...own },
  segment_hash: { form: 'digest', ...own, ...quiet },
  /** Hash of the record before a checkpoint, which the signature covers. */
  head: { form: 'digest', ...own, ...quiet },
  oldest_seq: { form: 'count', ...own },
  /** Public key of the signature: base64 of its 32 bytes. */
  key: { ...own, ...quiet },
  signature: { ...own, ...quiet },
  action: { column: 33, ...shown },
  /** A random id of what an operator did: the same in the record before it and in the one that says how it ended. */
  deed: { ...others, ...quiet },
  by: {},
  count: { form: 'count', column: 37, ...shown },
  requesters: { form: 'count', ...shown },
  level: { ...shown },
  text: { ...shown },
  status: { isWord: true, column: 8, ...shown },
  outcome: { words: recordedOutcomes, isWord: true, column: 7, ...shown },
  /** Why policy refused it: a code of doveadm/codes/decisions. Absent: it was not policy. */
  denial: { isWord: true, ...others, column: 35, ...shown },
  sent: { form: 'flag', column: 19, ...shown },
  rows: { form: 'count', column: 20, ...shown },
  cells: { form: 'count', column: 21, ...shown },
  bytes_in: { form: 'count', column: 22, ...shown },
  bytes_out: { form: 'count', column: 23, ...shown },
  wait_ms: { form: 'ms', column: 24, ...shown },
  first_byte_ms: { form: 'ms', column: 25, ...shown },
  duration_ms: { form: 'ms', column: 26, ...shown },
  logs: { members: logs, ...shown },
  client: { form: 'count', ...shown },
  /**
   * Every mailbox user of an admission's command, in normal form without duplicates, masks as given; `["*"]`: all users, or unknown ones.
   */
  users: { form: 'texts', column: 31, ...shown },
  /** Beside `users`: the server keeps the case of names, so those that differ in case only are two users. Absent: they are one. */
  case: { words: ['keep'], isWord: true, ...shown },
  /** Public key that signs from the next record on; signed by the one before. */
  next_key: { ...own },
  /** The oldest admission without completion when a segment began; a restart must read from there. */
  open_seq: { form: 'count', ...own },
  step_ms: { form: 'step', ...own },
  /** Sum of all steps so far, in a segment's first record: ages are counted without them. */
  steps_ms: { form: 'step', ...own },
  /**
   * The earliest time (RFC 3339) in the segment before, in a segment's first record; absent if one run did not write all of that segment.
   */
  earliest: { form: 'time', ...own },
  /** Records from the memory of the previous run that were missing in the segments, in a start record. */
  recovered: { form: 'count', ...own },
  /** The fault of that memory: `missing`, `damaged`, `foreign`. */
  ring: { ...own },
  /** Records that never reached the disk since the start; in a start record, stretches of damaged memory. */
  lost: { form: 'lost', ...own },
  torn: { members: tail, ...own },
  /** In a start record: the last record of the previous run, as this start found it. */
  last_seq: { form: 'count', ...own },
  last_hash: { form: 'digest', ...own },
  /** In a start record: lines that were appended after the end of the previous run, and the file that they were moved to. */
  appended: { members: tail, ...own },
  /** In a checkpoint: so many carried records follow, then a checkpoint: what ended last, live access, locks, open outages and drains. */
  carries: { form: 'count', ...own },
  /**
   * RFC 3339. In retire: all records before it are gone. In access: when an undecided request expires, or a grant ends. In lock: when it
   * ends. In a completion: from when on the same command is within its limit.
   */
  until: { form: 'time', ...shown },
  /** NAME@LISTENER of the owner of a request or grant, or of a command, in records of what others do with it. */
  to: { isWord: true, ...others, ...shown },
  /**
   * The id of an undecided request; a grant keeps it. In a command: with `for` mails were counted for it, else it came after that grant was
   * over, and was denied.
   */
  request: { ...others, ...shown },
  /** The id of a grant: in `granted` and all later access records, and in admissions and completions under it. */
  grant: { ...others, column: 32, ...shown },
  scope: { words: ['command', 'user'], isWord: true, ...others, ...shown },
  /** The id of a lock: in its own records, and in the completions of commands that it stopped. */
  lock: { ...others, ...shown },
  /** The number of records `words` of that lock that follow. */
  parts: { form: 'count', ...others, ...quiet },
  /** The number of approvals that a request needs; 0: break-glass. */
  approvals: { form: 'count', ...others, ...shown },
  /** The number of commands that a grant permits; absent: no limit. */
  uses: { form: 'count', ...others, ...shown },
  /** In `requested` and `granted`: how long after the grant it is kept from the owner of the mailbox; absent: it is not. */
  quiet_ms: { form: 'count', ...others, ...shown },
  used: { form: 'count', ...others, ...shown },
  /** Who acts, as words `user:anna`, `uid:1001`, `account:x`, `key:x`, `page:x`, `oidc:x`. */
  identities: { form: 'texts', ...others, ...quiet },
  bound: { members: bound, ...others, ...quiet },
  /** A copy at the head of a segment, or after a start: not another event. */
  carried: { form: 'true', ...others, ...shown },
  /** In a carried record: the time (RFC 3339) of the event. */
  at: { form: 'time', ...others, ...shown },
  /** The decision of an observing policy's rules: a word of doveadm/codes/outcomes. Absent: the same as what was done. */
  would: { isWord: true, ...others, column: 17, ...shown },
  would_why: { ...others, ...shown },
  /** The decision of the candidate beside the policy, likewise. */
  shadow: { isWord: true, ...others, column: 36, ...shown },
  shadow_why: { ...others, ...shown },
  argument_records: { form: 'count', of: 'added', ...shown },
  argument_hash: { form: 'digest', of: 'added' },
  error: { column: 27, ...shown },
} as const satisfies Readonly<Record<string, Row>>;

export type RecordKey = keyof typeof rows;

interface Objects {
  readonly peer: RecordedPeer;
  readonly input: RecordedInput;
  readonly bound: RecordedBounds;
  readonly torn: TornTail;
  readonly appended: TornTail;
  readonly logs: Readonly<Record<string, number>>;
}

type ValueOf<Key extends RecordKey> = Key extends keyof Objects
  ? Objects[Key]
  : (typeof rows)[Key] extends { readonly words: readonly (infer Word)[] }
    ? Word
    : (typeof rows)[Key] extends { readonly form: infer Of extends Form }
      ? Values[Of]
      : string;
type Whose<Key extends RecordKey> = (typeof rows)[Key] extends { readonly of: infer Of } ? Of : undefined;

/** The keys of records, but for those of these kinds, with their values; inapplicable keys are absent. */
export type KeysBut<Not> = {
  readonly [Key in RecordKey as Whose<Key> extends Not ? never : Key]?: ValueOf<Key> | undefined;
};

/** In the order of the file. */
export const recordKeys: readonly RecordKey[] = namesOf(rows);

export function rowOf(key: RecordKey): Row {
  return rows[key];
}

/** The keys of a table, in its order. */
export function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): Name[] {
  const names: Name[] = [];
  let name: Name;
  for (name in table) names.push(name);
  return names;
}
