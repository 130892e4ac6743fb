// The evidence in memory: one small object for each command of a client, what the journal says of it, and what reached a backend.
export interface Input {
  bytes: number;
  sha: string;
  /** The text itself (latin1), where the driver kept it. */
  text: string | undefined;
}

/** What the client was told in log lines of the gate: the last code, and the id of the exchange. */
export interface GateWord {
  code: string;
  id: string;
}

/** A command of a client, as clients.jsonl has it. */
export interface Entry {
  token: string;
  client: number;
  kind: string;
  principal: string;
  user: string;
  command: string;
  args: string[];
  expect: string;
  isWrite: boolean;
  begun: number;
  /** Infinity where the driver ended first. */
  ended: number;
  hasEnded: boolean;
  /** The client read no byte of its answer. */
  isUnread: boolean;
  input: Input | undefined;
  inputCut: boolean;
  status: string;
  rowBytes: number;
  rowSha: string;
  /** Cells of the rows, where they are short enough to be kept; -1 otherwise. */
  cells: number;
  word: GateWord | undefined;
  /** Tokens of other commands in its log lines or rows; known ones are of another client's answer. */
  strangers: string[];
  end: string;
  exchanges: Exchange[];
  arrivals: Arrival[];
}

interface Reply {
  status: string;
  bytes: number;
  sha: string;
  whole: boolean;
}

/** A command line that reached a backend. */
export interface Arrival {
  backend: string;
  conn: number;
  number: number;
  at: number;
  ended: number;
  user: string;
  command: string;
  isMail: boolean;
  /** A search that the gate made for `max_matches`. */
  isTwin: boolean;
  input: Input | undefined;
  inputCut: boolean;
  reply: Reply | undefined;
  /** The driver answered in place of the backend. */
  isForged: boolean;
}

export type Argument = string | { hmac: string };

/** The admission and the completion of one exchange. */
export interface Exchange {
  id: string;
  seq: number;
  session: string;
  principal: string;
  user: string;
  command: string;
  args: Argument[];
  /** True where the record leaves arguments out. */
  argsCut: boolean;
  isAllowed: boolean;
  effect: string;
  version: string;
  policy: string;
  series: string;
  isHttp: boolean;
  isTwin: boolean;
  /** The id of the exchange that this twin serves. */
  twinOf: string;
  matches: number;
  /** The token of its command, empty where the record shows none. */
  token: string;
  reasonToken: string;
  /** The run of the gate that wrote it: runs are counted from 1. */
  run: number;
  done: Completion | undefined;
}

export interface Completion {
  status: string;
  outcome: string;
  isRecovered: boolean;
  sent: boolean | undefined;
  backend: string;
  upstream: string;
  backends: number;
  cells: number;
  bytesIn: number;
  bytesOut: number;
  waitMs: number;
  durationMs: number;
  error: string;
  inputBytes: number;
  inputHmac: string;
}

export function nameEntry(entry: Entry): string {
  return `client ${entry.client} (${entry.kind}, ${entry.principal}) "${entry.command}" ${entry.token} for ${entry.user}`;
}

export function nameArrival(arrival: Arrival): string {
  return `${arrival.backend} connection ${arrival.conn} command ${arrival.number}`;
}

export function nameExchange(exchange: Exchange): string {
  return `journal seq ${exchange.seq} ${exchange.id}`;
}
