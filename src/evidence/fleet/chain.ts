// One journal from the store: its chain, its signatures, its open exchanges, and the gate's data in its records. `seq` and `hash` are
// always those of a record whose own hash is right. A fault is reported once, at the first line that shows it, and the chain is followed on
// from there. Memory does not grow with the number of records.

import { lockTarget } from '../../doveadm/codes/lock-target.js';
import { bounds } from '../../host/bounds/bounds.js';
import { asText, isCount, isText, parseLine, type StoredRecord } from '../../host/values/values.js';
import { parseTime } from '../../host/words/instants.js';
import { createArgumentsCheck } from '../../journal/records/arguments-check.js';
import { genesisHash, type Link, readClaim, readLink } from '../../journal/records/ledger.js';
import { type LineHead, readHead, readWord } from '../../journal/records/record.js';
import { type BlockName, type ForkedName, formatName } from '../store/names.js';
import { createRunEnds } from '../trail/run-ends.js';
import { damagesOf } from '../trail/verify.js';
import type { FoundFinding } from './findings.js';
import type { ChainState, Gap } from './saved.js';
import type { FleetFinding, FleetFindingKind, StoredBlock } from './shapes.js';
import { type HostKeys, judgeSignature, type Signature, shown, wordCharsMax } from './signatures.js';

/** A record that must be found, because it was there before. */
export interface Awaited {
  readonly hash: string;
  /** When its block was stored; milliseconds since 1970 by the store's clock. */
  readonly storedMs: number;
}

export function awaitRecord(all: Map<number, Awaited>, seq: number, awaited: Awaited): void {
  all.set(seq, awaited);
  // The highest covers most: it must not be replaced by later, lower ones, such as signed heads when everything is read again.
  if (all.size > bounds.fleetAwaited) all.delete(Math.min(...all.keys()));
}

export interface ChainContext {
  readonly keys: HostKeys;
  readonly awaited: Map<number, Awaited>;
  /** Whether the store's own retention explains that a journal begins with a block of this age. */
  readonly isPruned: (storedMs: number) => boolean;
  readonly report: (finding: FoundFinding) => void;
  /** Called when all records that were reported missing from this one on have come. */
  readonly filled: (seq: number) => void;
  readonly isAccepted: (finding: FoundFinding) => boolean;
  /** Each change of the policies is a finding. */
  readonly tellsPolicies: boolean;
}

/** Lines of gates have at most 7 KiB; much longer ones are neither hashed nor parsed. */
const lineBytesMax = bounds.fleetLineBytes;
/** Admissions without completion that are kept; no gate has as many at once. */
export const openMax = bounds.fleetOpen;
/** Checkpoints that are checked in a block of which only a signature is wanted: each check costs time. */
const signaturesMax = 4;
/** Hashes of the last records, for comparison with those of blocks that overlap. */
const recentMax = bounds.fleetRecent;
/** Locks that are in force: more than a gate has at once. */
const locksMax = bounds.fleetLocks;
/** Holes that late records may fill; beyond this limit the oldest one stays a finding. */
const gapsMax = bounds.fleetGaps;
/** A match of this part of a hash, half of it, cannot be chance. */
const recentBytes = 16;
const noHash = '00'.repeat(recentBytes);
/** Clocks are compared by the best of the last blocks: a gate that catches up sends late blocks, although its clock may be right. */
const driftWindowMs = 600_000;
const checkpointText = Buffer.from(',"event":"checkpoint"');
/** The beginning of a record with its time, event and ids, and of an admission with its policy. */
const headBytes = 320;
const admissionBytes = 2048;

const ownEvents: ReadonlySet<string> = new Set(['start', 'checkpoint', 'retire', 'reload', 'lock']);

const whoForks = 'two machines write this journal, or somebody else writes as this host';
/** For a host with a listed key. */
const whoSigns = 'two machines write this journal, or somebody has its key';
const whoDoesNotSign = 'somebody else writes with its credential, or two machines write this journal';

const compare = 'compare the host\'s own journal ("dovegate audit verify" there)';

/** The range of records that came late; some within it may have been there. */
export interface Late {
  readonly first: number;
  readonly last: number;
}

/** Records of the store after the newest signed one of a journal, which no signature covers. */
export interface Unproved {
  /** The last record without a hole before it. */
  readonly seq: number;
  /** When the first and the last of these blocks were stored. */
  readonly sinceMs: number;
  readonly storedMs: number;
}

interface Behind {
  readonly line: Buffer;
  readonly link: Link;
  readonly head: LineHead | undefined;
}

/** Only those of this journal: a key may sign for several. */
function checkpointsIn(text: Buffer, journal: string) {
  const found: { readonly line: Buffer; readonly record: StoredRecord }[] = [];
  for (let at = text.indexOf(checkpointText); at >= 0; at = text.indexOf(checkpointText, at + 1)) {
    const line = text.subarray(text.lastIndexOf(0x0a, at) + 1, text.indexOf(0x0a, at));
    const record = parseLine(line.toString()) ?? {};
    if (record['journal'] === journal) found.push({ line, record });
  }
  return found;
}

/** The last validly signed one of the last few checkpoints of this journal in a block: it covers all records before it. */
export function lastSignedIn(text: Buffer, journal: string, { listed, named }: HostKeys) {
  const keys = { listed, named: [...named] };
  const signed = checkpointsIn(text, journal)
    .slice(-signaturesMax)
    .findLast(({ line, record }) => judgeSignature(line.toString(), record, keys).kind === 'vouches');
  return signed && readClaim(signed.line);
}

export class Chain {
  readonly state: ChainState;
  /** Undefined: all records that were read were taken. */
  unproved: Unproved | undefined;
  /** The records with which the last block filled a hole. */
  late: Late | undefined;
  readonly open: Map<string, { readonly seq: number; readonly storedMs: number }>;
  readonly policies: Map<string, string>;
  readonly #context: ChainContext;
  readonly #arguments = createArgumentsCheck();
  readonly #runs: ReturnType<typeof createRunEnds>;
  /** By seq modulo `recentMax`; zeros: none. Bytes, since strings of a thousand hosts would fill the memory. */
  readonly #recentHashes = Buffer.alloc(recentMax * recentBytes);
  /** Policy and version of the last admission: usually the next one has the same. */
  #policyText = '';
  #storedMs = 0;
  /** Time of the first new record of the block. */
  #firstTime = '';
  #isFirstLine = false;
  #records = 0;
  /** Holes from this record on begin within the block that is being taken. */
  #ownGapFrom = 0;
  /** The name of the object that is being taken. */
  #object = '';
  /** Records of this object up to this seq are covered by a signature. Without a listed key all of them count as covered. */
  #provedSeq = 0;
  /** The last record of this object that differs from a known one. */
  #otherSeq = 0;
  /** Hashes of signed records that `signedSeqIn` found last: checking a signature takes as long as checking 50 lines. */
  #signed = new Set<string>();
  /** Lines of the block whose seq is not above the last known one. */
  #behind: Behind[] = [];

  /** The chain owns `state` from now on. */
  constructor(state: ChainState, context: ChainContext) {
    this.state = state;
    this.#context = context;
    this.open = new Map(state.open.map(([id, seq, storedMs]) => [id, { seq, storedMs }]));
    this.policies = new Map(state.policies);
    this.#runs = createRunEnds({ at: state.run ?? 'running', carriesLeft: state.carriesLeft });
    Buffer.from(state.recent, 'base64').copy(this.#recentHashes);
    state.open = [];
    state.policies = [];
    state.recent = '';
  }

  save(): ChainState {
    const open = [...this.open].map(([id, { seq, storedMs }]): [string, number, number] => [
      id,
      seq,
      storedMs,
    ]);
    const { at, carriesLeft } = this.#runs.state;
    const run = at === 'running' ? undefined : at;
    const recent = this.#recentHashes.toString('base64', 0, (this.state.seq + 1) * recentBytes);
    return { ...this.state, run, carriesLeft, open, policies: [...this.policies], recent };
  }

  get isStopped(): boolean {
    return this.#runs.state.at === 'stopped';
  }

  /** Whether records are missing that this block may have: it has to wait until the records after it have come. */
  lacks({ first, last }: Pick<BlockName, 'first' | 'last'>): boolean {
    return this.state.gaps.some(({ from, to }) => from <= last && first <= to);
  }

  /** Record time minus the store's: the best of the last blocks. Undefined: no block came. */
  get driftMs(): number | undefined {
    const { driftMs, driftBeforeMs } = this.state;
    return driftMs === undefined ? undefined : Math.max(driftMs, driftBeforeMs ?? driftMs);
  }

  /** Accepts the present state. `isCurrent`: it is the host's journal; otherwise nothing more will come. */
  accept(isCurrent: boolean): void {
    const { state } = this;
    state.untrusted = undefined;
    state.unsignedMs = undefined;
    state.isLate = false;
    // A new fault of the same kind is reported again.
    state.behindSeq = 0;
    state.isForeign = false;
    state.garbage = 0;
    if (isCurrent) return;
    this.open.clear();
    state.unfollowed = 0;
  }

  /** Undefined: the journal begins with record 1, or its beginning is explained. */
  judgeBeginning(): FleetFinding | undefined {
    const { isLate, firstSeq } = this.state;
    if (!isLate) return undefined;
    const text = `records 1 to ${firstSeq - 1} never came; fetch them from the host's own journal or its copies`;
    return this.#finding('missing', 1, text);
  }

  /** Takes the mark of a gate that stopped since the store has records that it does not have. The mark names a record that it has. */
  takeMark(mark: ForkedName, isMirrored: boolean): void {
    const { seq, hash } = mark;
    const known = this.#recent(seq);
    const isKnown = isMirrored || (known !== undefined && hash.startsWith(known));
    const what = isKnown
      ? `its journal ends with record ${seq}, and the store has more of it; its end was cut off or put back from a copy`
      : `its record ${seq} is another one than the store has, and no block shows it; two machines write one journal`;
    const text = `the mark ${formatName(mark)} says that a gate stopped shipping: ${what}, or somebody forged the mark: find out which machine has the right journal, and give the other one a directory for a new journal`;
    const finding = this.#finding(isKnown ? 'cut-at-host' : 'forked', isKnown ? seq + 1 : seq, text);
    // The same mark is found in each reading.
    this.#context.report({ ...finding, line: hash });
  }

  /** Seq of the last validly signed checkpoint of this journal in a block whose lines join; 0: none. */
  signedSeqIn(text: Buffer, storedMs: number): number {
    let signedSeq = 0;
    this.#storedMs = storedMs;
    this.#provedSeq = 0;
    this.#signed = new Set();
    for (const { line, record } of checkpointsIn(text, this.state.journal)) {
      const { seq = 0, hash = '' } = readClaim(line) ?? {};
      const whole = line.toString();
      const said = judgeSignature(whole, record, this.#context.keys);
      if (said.kind === 'vouches') {
        signedSeq = seq;
        this.#signed.add(hash);
      } else if (said.kind !== 'none') this.#tellSignature(said, seq, readHead(whole.slice(0, headBytes)));
    }
    return signedSeq;
  }

  /** The last record that was read, proved or not, and when the newest block was stored. */
  get seen(): { readonly seq: number; readonly storedMs: number } {
    const { seq, storedMs } = this.state;
    const { seq: unprovedSeq = 0, storedMs: unprovedMs = 0 } = this.unproved ?? {};
    return { seq: Math.max(seq, unprovedSeq), storedMs: Math.max(storedMs, unprovedMs) };
  }

  /** Returns the number of records that continue the chain. */
  takeBlock({ name, storedMs, text: lines }: StoredBlock): number {
    this.#storedMs = storedMs;
    this.#firstTime = '';
    this.#records = 0;
    this.late = undefined;
    this.#begin(name, lines);
    this.#ownGapFrom = this.state.seq + 1;
    if (lines === undefined) {
      const text = `the object ${this.#object} is no block of records: it was changed, or put there by somebody else; ${compare}`;
      this.#tell('changed', name.first, text);
      return 0;
    }
    let first: Link | undefined;
    let last: Link | undefined;
    for (let at = 0; at < lines.length; ) {
      const end = lines.indexOf(0x0a, at);
      this.#isFirstLine = at === 0;
      last = undefined;
      if (end < 0) {
        this.#garble('malformed', `the object ${this.#object} ends within a line`);
        break;
      }
      last = this.#takeLine(lines.subarray(at, end));
      if (at === 0) first = last;
      at = end + 1;
    }
    this.#takeBehind();
    this.#checkName(name, lines.length === 0, first, last);
    this.#noteDrift();
    return this.#records;
  }

  #begin(name: BlockName, lines: Buffer | undefined): void {
    const { keys } = this.#context;
    this.#object = formatName(name);
    this.#otherSeq = 0;
    const isWhole = keys.listed === undefined || name.last > this.state.seq;
    const signed = isWhole || lines === undefined ? undefined : lastSignedIn(lines, name.journal, keys);
    this.#provedSeq = isWhole ? Infinity : (signed?.seq ?? 0);
  }

  /** Takes a block that is too old to be compared line by line. `isProved`: a signed record of it differs, too. */
  takeFork({ name, storedMs }: StoredBlock, isProved: boolean): void {
    this.#object = formatName(name);
    this.#storedMs = storedMs;
    this.#provedSeq = isProved || this.#context.keys.listed === undefined ? name.last : 0;
    const [whose, who] = this.#forkWords(name.last);
    const text = `record ${name.last} ${whose} is another one than the one that was read: ${who}`;
    this.#tell('forked', name.last, text);
  }

  /** An invalid first or last line was reported already. */
  #checkName(name: BlockName, isEmpty: boolean, first: Link | undefined, last: Link | undefined): void {
    const isRight =
      !isEmpty &&
      (first === undefined || name.first === first.seq) &&
      (last === undefined || (name.last === last.seq && name.hash === last.hash));
    if (isRight) return;
    const text = `the object ${this.#object} holds other records than its name says; ${compare}, and take the credential away from whoever put it there`;
    this.#tell('malformed', first?.seq ?? name.first, text);
  }

  #takeLine(line: Buffer): Link | undefined {
    const link = line.length > lineBytesMax ? undefined : readLink(line);
    if (link === undefined || link.seq < 1 || !Number.isSafeInteger(link.seq)) {
      this.#garble('malformed', 'this is not a record');
      return undefined;
    }
    if (!link.isIntact) {
      this.#garble('changed', 'the record is not what its hash says');
      return undefined;
    }
    const begin = line.toString('latin1', 0, headBytes);
    const head = readHead(begin);
    const gap = this.state.gaps.at(-1);
    if (link.seq <= this.state.seq) {
      this.#behind.push({ line, link, head });
      return link;
    }
    this.#takeBehind();
    this.#follow(link, head);
    this.#records += 1;
    if (this.state.gaps.at(-1) !== gap || this.state.firstSeq === link.seq) this.#arguments.forget();
    if (head === undefined) this.#tell('malformed', link.seq, `the record has no time and event; ${compare}`);
    else this.#note(line, begin, link, head);
    return link;
  }

  #garble(kind: 'malformed' | 'changed', text: string): void {
    const { state } = this;
    state.garbage += 1;
    this.#arguments.forget();
    this.#tell(kind, state.seq + state.garbage, `${text}; ${compare}`);
  }

  #follow(link: Link, head: LineHead | undefined): void {
    const { state } = this;
    const { seq } = link;
    const nextMin = state.seq + 1;
    const nextMax = nextMin + state.garbage;
    if (seq === nextMin) {
      if (link.prev !== state.hash) this.#tellUnlinked(seq, head);
    } else if (state.seq === 0) {
      state.isLate = !this.#context.isPruned(this.#storedMs);
      if (state.isLate) state.gaps.push({ from: 1, prev: genesisHash, to: seq - 1, hash: link.prev });
    } else if (seq > nextMax) {
      const before = state.garbage === 0 ? { prev: state.hash } : {};
      state.gaps.push({ from: nextMax, ...before, to: seq - 1, hash: link.prev });
      if (state.gaps.length > gapsMax) state.gaps.shift();
      const which = nextMax === seq - 1 ? `record ${nextMax} is` : `records ${nextMax} to ${seq - 1} are`;
      this.#tell('missing', nextMax, `${which} missing before record ${seq}; ${compare}`, head);
    }
    if (state.firstSeq === 0) state.firstSeq = seq;
    state.garbage = 0;
    state.behindSeq = 0;
    for (let lost = Math.max(nextMin, seq - recentMax); lost < seq; lost += 1) this.#remember(lost, noHash);
    state.seq = seq;
    state.hash = link.hash;
    state.storedMs = this.#storedMs;
    state.unsignedMs ??= this.#storedMs;
    if (head !== undefined) {
      state.time = head.time;
      this.#firstTime ||= head.time;
    }
    this.#remember(seq, link.hash);
    if (this.#context.awaited.size > 0) this.#meet(link, head);
  }

  #tellUnlinked(seq: number, head: LineHead | undefined): void {
    // A block comes from one file; between two blocks the host may have got another file.
    if (this.#isFirstLine && this.state.garbage === 0 && seq > 1) {
      const text = `record ${seq} does not go on behind record ${seq - 1} of the store: the host's own end was cut off or put back from a copy; ${compare}`;
      this.#tell('cut-at-host', seq, text, head);
      return;
    }
    this.#tell('unlinked', seq, `prev is not the hash of the record before; ${compare}`, head);
  }

  /**
   * Takes repeated and late records. A hole is filled from its end: the record after the hole has the hash of the last missing record, so
   * no other line fits. From its beginning any line could be made to fit, as it only has to name the record before the hole.
   */
  #takeBehind(): void {
    const behind = this.#behind;
    if (behind.length === 0) return;
    this.#behind = [];
    const again: Behind[] = [];
    for (const one of behind.toReversed()) {
      const { seq } = one.link;
      const gap = this.state.gaps.find(({ from, to }) => seq >= from && seq <= to);
      // A gate writes the lines of a block in order, so a block cannot fill a hole within itself.
      if (gap === undefined || gap.to >= this.#ownGapFrom) again.push(one);
      // Other records have to wait for those after them.
      else if (seq === gap.to) this.#fill(gap, one);
    }
    for (const { link, head } of again.toReversed()) this.#tellOther(link, head);
  }

  #fill(gap: Gap, { line, link, head }: Behind): void {
    const { gaps, seq } = this.state;
    if (link.hash !== gap.hash) {
      const [whose, who] = this.#forkWords(link.seq);
      const text = `record ${link.seq} comes late ${whose}, and does not fit where it is missing: ${who}`;
      this.#tell('forked', link.seq, text, head);
      return;
    }
    this.#records += 1;
    this.late = { first: link.seq, last: this.late?.last ?? link.seq };
    if (link.seq > seq - recentMax) this.#remember(link.seq, link.hash);
    if (head?.event === 'completion') this.#noteCompletion(line.toString('latin1', 0, headBytes));
    if (this.#context.awaited.size > 0) this.#meet(link, head);
    gap.to -= 1;
    gap.hash = link.prev;
    if (gap.to >= gap.from) return;
    gaps.splice(gaps.indexOf(gap), 1);
    this.#context.filled(gap.from);
    if (gap.from === 1) Object.assign(this.state, { isLate: false, firstSeq: 1 });
    if (gap.prev !== undefined && gap.prev !== link.prev) this.#tellUnlinked(link.seq, head);
  }

  /** Reports a record that differs from the known one. A record may come in two blocks; one too old to be compared proves nothing. */
  #tellOther({ seq, hash }: Link, head: LineHead | undefined): void {
    const { state } = this;
    const known = this.#recent(seq);
    if (known === undefined || hash.startsWith(known)) return;
    // An unsigned fork must not make a signed one that begins after it look like its continuation.
    const isProved = seq <= this.#provedSeq;
    const isMore = this.#otherSeq > 0 && seq === this.#otherSeq + 1;
    const isOfSigned = state.behindSeq > 0 && seq === state.behindSeq + 1;
    this.#otherSeq = seq;
    if (isProved || (isMore && isOfSigned)) state.behindSeq = seq;
    if (isMore || (isProved && isOfSigned)) return;
    const [whose, who] = this.#forkWords(seq);
    const text = `record ${seq} comes again ${whose}, behind record ${state.seq}, and it is another one: ${who}`;
    this.#tell('forked', seq, text, head);
  }

  /** The object that shows a fork, and who may have made it, as parts of a sentence. */
  #forkWords(seq: number): readonly [whose: string, who: string] {
    if (this.#context.keys.listed === undefined) return [`in ${this.#object}`, whoForks];
    return seq <= this.#provedSeq
      ? [`in ${this.#object} (with a signature of this host)`, whoSigns]
      : [`in ${this.#object} (without a signature of this host)`, whoDoesNotSign];
  }

  #meet({ seq, hash }: Link, head: LineHead | undefined): void {
    const awaited = this.#context.awaited.get(seq);
    if (awaited === undefined) return;
    this.#context.awaited.delete(seq);
    if (awaited.hash === hash) return;
    const text = `record ${seq} is not the one that was read here before: the store was written anew, or two machines write this journal; ${compare}`;
    this.#tell('forked', seq, text, head);
  }

  /** A record that existed before and must exist here, already read or not. `by`: the verifier that signed it. */
  expect(seq: number, awaited: Awaited, by?: string): void {
    this.#provedSeq = Infinity;
    const known = this.#recent(seq);
    if (known !== undefined && awaited.hash.startsWith(known)) return;
    if (known !== undefined) {
      const whose = by === undefined ? 'that was signed for' : `that verifier "${by}" signed for`;
      const why = by === undefined ? 'the store was written anew' : 'two verifiers read different records';
      const text = `record ${seq} is not the one ${whose}: ${why}; ${compare}`;
      this.#tell('forked', seq, text);
    } else if (seq > this.state.seq) awaitRecord(this.#context.awaited, seq, awaited);
  }

  #note(line: Buffer, begin: string, link: Link, head: LineHead): void {
    const { event } = head;
    const fault = this.#arguments.take(event, line, link);
    if (fault !== undefined) this.#tell('arguments', fault.seq, `${fault.text}; ${compare}`, head);
    const text = ownEvents.has(event) ? line.toString('utf8') : '';
    const record = text === '' ? undefined : parseLine(text);
    const appended = this.#runs.take(event, begin, record, link, { file: '', line: 0, seq: link.seq });
    if (appended !== undefined) this.#tell(appended.kind, link.seq, `${appended.text}; ${compare}`, head);
    if (event === 'admission') this.#noteAdmission(line.toString('latin1', 0, admissionBytes), link.seq);
    else if (event === 'completion') this.#noteCompletion(begin);
    else if (record !== undefined) this.#noteOwn(text, record, link, head);
    else if (text !== '') this.#tell('malformed', link.seq, `the record is not JSON; ${compare}`, head);
  }

  #noteAdmission(text: string, seq: number): void {
    const id = readWord(text, 'id');
    if (id !== undefined && id.length <= wordCharsMax) {
      // Inserted again: the oldest must stay the first.
      this.open.delete(id);
      if (this.open.size < openMax) this.open.set(id, { seq, storedMs: this.#storedMs });
      else this.state.unfollowed += 1;
    }
    const at = text.indexOf(',"policy":"');
    if (at < 0 || (this.#policyText !== '' && text.startsWith(this.#policyText, at))) return;
    const policy = readWord(text, 'policy');
    const version = readWord(text, 'version');
    if (policy === undefined || version === undefined) return;
    if (policy.length > wordCharsMax || version.length > wordCharsMax) return;
    this.#policyText = `,"policy":"${policy}","version":"${version}"`;
    const name = shown(Buffer.from(policy, 'latin1').toString('utf8'));
    if (this.policies.size < bounds.fleetPolicies || this.policies.has(name))
      this.policies.set(name, shown(version));
  }

  #noteCompletion(text: string): void {
    const id = readWord(text, 'id');
    if (id === undefined || this.open.delete(id) || this.state.unfollowed === 0) return;
    this.state.unfollowed -= 1;
  }

  #noteOwn(text: string, record: StoredRecord, link: Link, head: LineHead): void {
    const { state } = this;
    const { event } = head;
    const { journal, program, catalog } = record;
    const isForeign = isText(journal) ? journal !== state.journal : state.isForeign;
    if (isForeign && !state.isForeign) {
      const other = `the record belongs to journal ${shown(String(journal))}; ${compare}`;
      this.#tell('malformed', link.seq, other, head);
    }
    state.isForeign = isForeign;
    if (event === 'start' || event === 'reload') {
      // Policies that are no longer in use are never recorded again.
      this.policies.clear();
      this.#policyText = '';
      if (this.#context.tellsPolicies) this.#notePolicies(record, link.seq, head);
    }
    if (event === 'lock') this.#noteLock(record, head);
    if (isText(program)) state.program = shown(program);
    if (isText(catalog)) state.catalog = shown(catalog);
    for (const { kind, text: found } of event === 'start' ? damagesOf(record) : [])
      this.#tell(kind === 'cut' ? 'cut-at-host' : kind, link.seq, `${found}; ${compare}`, head);
    if (event !== 'checkpoint' && event !== 'retire') return;
    if (event === 'checkpoint' && record['head'] !== link.prev) {
      this.#tell('unlinked', link.seq, `head is not the hash of the record before; ${compare}`, head);
    }
    this.#noteSignature(text, record, link, head);
  }

  #noteLock(record: StoredRecord, { time }: LineHead): void {
    const { state } = this;
    const { action, lock: id, at } = record;
    const isMade = action === 'locked' || action === 'held';
    if (!isText(id) || id.length > wordCharsMax || !(isMade || action === 'unlocked' || action === 'expired'))
      return;
    const others = state.locks.filter(([one]) => one !== id);
    const [user, backend, listener, to] = ['user', 'backend', 'listener', 'to'].map((key) =>
      asText(record[key]),
    );
    const atMs = parseTime(asText(at) ?? time);
    const target = shown(lockTarget({ user, backend, listener, to }));
    state.locks =
      isMade && atMs !== undefined ? [...others, [id, target, atMs] as const].slice(-locksMax) : others;
  }

  #notePolicies({ policies, was, by }: StoredRecord, seq: number, head: LineHead): void {
    // The first policies of a journal are no change.
    if (!isText(policies) || !isText(was) || policies === was) return;
    const who = isText(by) ? `a reload by ${shown(by)}` : 'a start';
    const text = `${who} brought other policies; look there what they permit: dovegate audit policies --diff ${seq}`;
    this.#tell('policy-changed', seq, text, head);
  }

  #noteSignature(text: string, record: StoredRecord, link: Link, head: LineHead): void {
    const { state } = this;
    const { seq, hash } = link;
    const wasSigned = state.signedSeq > 0;
    const said: Signature = this.#signed.has(hash)
      ? { kind: 'vouches' }
      : judgeSignature(text, record, this.#context.keys);
    const isRetire = head.event === 'retire';
    const { oldest_seq: oldest } = record;
    // The retention limit counts by the record's own signature: a later one proves only that the record stood there.
    const counts = said.kind === 'vouches' || (said.kind === 'none' && !wasSigned);
    if (counts && isCount(oldest) && oldest >= state.firstSeq) state.isLate = false;
    if (said.kind === 'vouches') {
      state.signedSeq = seq;
      state.signedTime = parseTime(head.time) === undefined ? undefined : head.time;
      state.unsignedMs = undefined;
      // A later one may have been read already.
      if ((state.untrusted?.seq ?? 0) <= seq) state.untrusted = undefined;
    } else if (isRetire && !counts && said.kind !== 'bad-signature') {
      const why = said.kind === 'none' ? 'this record is not signed' : said.text;
      this.#tell('untrusted', seq, `${why}, so it explains no gap at the host; ${compare}`, head);
    } else if (said.kind !== 'none') this.#tellSignature(said, seq, head);
  }

  #tellSignature(
    { kind, text }: Extract<Signature, { readonly text: string }>,
    seq: number,
    head: LineHead | undefined,
  ): void {
    if (kind === 'bad-signature') return this.#tell(kind, seq, `${text}; ${compare}`, head);
    if (this.state.untrusted !== undefined) return;
    const what = `${text}; look who writes with its credential, and put the key into "hosts" only if its gate has a new one`;
    const finding = this.#finding(kind, seq, what, head);
    if (!this.#context.isAccepted({ ...finding, storedMs: this.#storedMs })) this.state.untrusted = finding;
  }

  #noteDrift(): void {
    const { state } = this;
    const timeMs = this.#records === 0 ? undefined : parseTime(state.time);
    if (timeMs === undefined) return;
    const driftMs = timeMs - this.#storedMs;
    state.waitMs = Math.max(state.waitMs, this.#storedMs - (parseTime(this.#firstTime) ?? this.#storedMs));
    if (state.driftMs === undefined || this.#storedMs - state.driftSinceMs >= driftWindowMs) {
      state.driftBeforeMs = state.driftMs;
      state.driftSinceMs = this.#storedMs;
      state.driftMs = driftMs;
    } else state.driftMs = Math.max(state.driftMs, driftMs);
  }

  #remember(seq: number, hash: string): void {
    this.#recentHashes.write(hash.slice(0, noHash.length), (seq % recentMax) * recentBytes, 'hex');
  }

  /** The first half of the hash of one of the last records. */
  #recent(seq: number): string | undefined {
    if (seq > this.state.seq || seq <= this.state.seq - recentMax) return undefined;
    const at = (seq % recentMax) * recentBytes;
    const hash = this.#recentHashes.toString('hex', at, at + recentBytes);
    return hash === noHash ? undefined : hash;
  }

  #tell(kind: FleetFindingKind, seq: number, text: string, head?: LineHead): void {
    const finding = this.#finding(kind, seq, text, head);
    const storedMs = this.#storedMs;
    this.#context.report(seq <= this.#provedSeq ? { ...finding, isProved: true } : { ...finding, storedMs });
  }

  #finding(kind: FleetFindingKind, seq: number, text: string, head?: LineHead): FleetFinding {
    const { host, journal } = this.state;
    const time = head !== undefined && parseTime(head.time) !== undefined ? { time: head.time } : {};
    return { kind, host, journal, seq, ...time, text };
  }
}
