// The signed lines of many verifiers, one chain for each cell, and what they say together: each line is the root over the heads of its
// cell. A line counts if a listed key signed it, or one that the line before named and a person listed. What nobody signed is only
// compared with what was signed: a mirror can refute a root, and proves one only by a record whose own hash fits. Memory grows with the
// journals of the cells, not with their lines.

import { bounds } from '../../../bounds/bounds.js';
import { agoWords, durationWords, plural } from '../../language/words/words.js';
import { formatTime, parseTime } from '../audit/record.js';
import { type ReadCheckpoint, readCheckpoint, type SignedHead } from './checkpoint.js';

/** A closed list: scripts rely on the words. */
export const cellFindingKinds = [
  /** A cell, a root of its chain, or a host in its newest root is not there. */
  'missing',
  /** The newest root, or the head of a host in it, is older than permitted. */
  'late',
  /** A root is not what was signed, does not follow, or says another thing of a record than another root or a mirror. */
  'changed',
  /** A root says less of a journal than an earlier one, or its mirror has less than it says. */
  'cut',
  /** Another key than those that are listed, or a root of another cell. */
  'untrusted',
  /** A journal moved, and records between its two cells are in neither. */
  'gap',
  /** A journal grows in two cells. */
  'twice',
  /** The verifier of the cell reports findings itself. */
  'reported',
  /** The newest root is of a time that has not come. */
  'clock-apart',
] as const;

export type CellFindingKind = (typeof cellFindingKinds)[number];

export interface CellFinding {
  readonly kind: CellFindingKind;
  readonly cell: string;
  readonly host?: string | undefined;
  readonly journal?: string | undefined;
  /** Of the record, with `journal`; else of the root. */
  readonly seq?: number | undefined;
  readonly text: string;
}

export interface ExpectedCell {
  readonly name: string;
  /** Public keys of its verifier in base64, oldest first. */
  readonly keys: readonly string[];
  /** Lines before it are not compared. */
  readonly fromRoot: number;
  /** Undefined: those that its roots name. */
  readonly hosts: ReadonlyMap<string, unknown> | undefined;
}

/** A journal as the roots of one cell have it. */
interface JournalIn extends SignedHead {
  /** The time of the first root that names it, and the number of the last. */
  firstMs: number;
  root: number;
  /** Heads that a later root does not reach: the mirror must have them. By seq. */
  readonly left: Map<number, string>;
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

const keptMax = bounds.fleetFindings;
const journalsMax = bounds.fleetCellJournals;
const leftMax = bounds.fleetAwaited;
const driftMs = 300_000;

/** Follows the lines of one cell, oldest first. */
export class CellLog {
  readonly expected: ExpectedCell;
  readonly journals = new Map<string, Mutable<JournalIn>>();
  newest: ReadCheckpoint | undefined;
  /** The last root before `from_root`, whoever signed it; 0: there is none. */
  passedOver = 0;
  readonly #findings = new Map<CellFindingKind, { readonly kept: CellFinding[]; more: number }>();
  readonly #awaited = new Map<number, string>();
  /** Lines since the last one that counted, which are no roots. */
  #odd = 0;
  #oddLine = 0;
  #line = 0;

  constructor(expected: ExpectedCell) {
    this.expected = expected;
  }

  /** A line that was kept elsewhere: it must come. Returns why it proves nothing; undefined: it counts. */
  awaitKept({ key, seq, hash }: ReadCheckpoint): string | undefined {
    if (!this.expected.keys.includes(key))
      return `${key} signed it, which is no key of cell ${this.expected.name}`;
    this.#awaited.set(seq, hash);
    return undefined;
  }

  /** A whole line of its file, without LF. */
  take(line: Buffer): void {
    this.#line += 1;
    const read = readCheckpoint(line);
    if (read === undefined) {
      this.#odd += 1;
      this.#oddLine = this.#line;
      return;
    }
    if (read.seq < this.expected.fromRoot) {
      this.passedOver = read.seq;
      return;
    }
    const { newest } = this;
    const { name } = this.expected;
    const { seq, key, cell } = read;
    if (!this.#mayFollow(read)) {
      this.#tell('untrusted', seq, `root ${seq} is signed by ${key}, ${this.#whyNot(key)}`);
      return;
    }
    if (cell !== name) {
      const what = cell === undefined ? 'names no cell' : `is of cell ${cell}`;
      this.#tell(
        'untrusted',
        seq,
        `root ${seq} ${what}: look at "cell" in fleet.yaml of its verifier, and where the copy is from`,
      );
    }
    const kept = this.#awaited.get(seq);
    this.#awaited.delete(seq);
    if (kept !== undefined && kept !== read.hash)
      this.#tell(
        'changed',
        seq,
        `root ${seq} is another one than the line that was kept: two of them were signed`,
      );
    const before = newest?.seq ?? this.expected.fromRoot - 1;
    const isNext = seq === before + 1 && (newest === undefined || read.prev === newest.hash);
    if (newest === undefined ? seq > before + 1 : seq > before + 1 + this.#odd) {
      const which = seq === before + 2 ? `root ${before + 1} is` : `roots ${before + 1} to ${seq - 1} are`;
      this.#tell('missing', before + 1, `${which} not in its file`);
    } else if (newest !== undefined && seq <= before) {
      const text = `root ${seq} comes again after root ${before}: the file was put together of two, or two verifiers sign with one key`;
      this.#tell('changed', seq, text);
      return;
    } else if (newest !== undefined && !isNext && this.#odd === 0)
      this.#tell('changed', seq, `root ${seq} does not follow root ${before}: one of them was replaced`);
    // A line that was torn by a crash is followed by one that fits.
    if (this.#odd > 0 && !isNext) this.#tellOdd();
    this.#odd = 0;
    this.newest = read;
    const timeMs = parseTime(read.time) ?? 0;
    for (const head of read.heads) this.#takeHead(head, seq, timeMs);
  }

  /** After the last line. */
  finish(): void {
    if (this.#odd > 0) this.#tellOdd();
    for (const seq of this.#awaited.keys())
      this.#tell('cut', seq, `root ${seq} was kept elsewhere, and is not in its file`);
  }

  findings(): readonly CellFinding[] {
    return [...this.#findings.values()].flatMap(({ kept, more }) =>
      kept.map((one, at) =>
        more > 0 && at === kept.length - 1
          ? { ...one, text: `${one.text} (and ${more} more of this kind)` }
          : one,
      ),
    );
  }

  /** As a person listed them; a key after the present one may follow without being named: the old one was lost. */
  #mayFollow({ key }: ReadCheckpoint): boolean {
    const { keys } = this.expected;
    const { newest } = this;
    if (newest === undefined) return keys.includes(key);
    if (newest.nextKey !== undefined) return key === newest.nextKey && keys.includes(key);
    return key === newest.key || keys.indexOf(key) > keys.indexOf(newest.key);
  }

  #whyNot(key: string): string {
    const { newest } = this;
    if (!this.expected.keys.includes(key))
      return newest?.nextKey === key
        ? 'which the root before names, and "key" does not list: if you replaced the key, copy checkpoint.pub again; if not, it was stolen'
        : 'which "key" does not list';
    return 'a key that was replaced: it was stolen';
  }

  #takeHead(head: SignedHead, root: number, timeMs: number): void {
    const key = `${head.host} ${head.journal}`;
    const known = this.journals.get(key);
    if (known === undefined) {
      if (this.journals.size < journalsMax)
        this.journals.set(key, { ...head, firstMs: timeMs, root, left: new Map() });
      else
        this.#tell(
          'missing',
          root,
          `its roots name more than ${journalsMax} journals: the others are not compared`,
        );
      return;
    }
    const signed = head.seq === known.seq ? known.hash : known.left.get(head.seq);
    if (signed !== undefined && signed !== head.hash) {
      const text = `root ${root} has another record ${head.seq} of this journal than root ${known.root}: one of the two was changed`;
      this.#tell('changed', head.seq, text, head);
    }
    if (head.seq < known.seq) {
      known.left.set(known.seq, known.hash);
      const [oldest] = known.left.keys();
      if (known.left.size > leftMax && oldest !== undefined) known.left.delete(oldest);
    }
    Object.assign(known, head, { from: Math.min(head.from, known.from), root });
  }

  #tellOdd(): void {
    const text = `line ${this.#oddLine} of its file is no root, or was changed after it was signed`;
    this.#tell('changed', undefined, text);
  }

  #tell(kind: CellFindingKind, seq: number | undefined, text: string, of?: SignedHead): void {
    const found = this.#findings.get(kind) ?? { kept: [], more: 0 };
    this.#findings.set(kind, found);
    if (found.kept.length >= keptMax) found.more += 1;
    else
      found.kept.push({
        kind,
        cell: this.expected.name,
        ...(of !== undefined && { host: of.host, journal: of.journal }),
        ...(seq !== undefined && { seq }),
        text,
      });
  }
}

/** What the mirror of a cell has of a record. `gone`: it begins later; `absent`: it should be there. */
export type Held = { readonly hash: string; readonly prev: string } | 'gone' | 'absent';

/** Undefined: there is no mirror of this cell. */
export type FindRecord = (
  place: { readonly cell: string; readonly host: string; readonly journal: string },
  seq: number,
) => Promise<Held | undefined>;

export interface CellsAsked {
  readonly nowMs: number;
  /** The newest root may be so old, and so may the head of a host be in it. */
  readonly rootEveryMs: number;
}

export interface CellRow {
  readonly cell: string;
  readonly seq?: number | undefined;
  /** RFC 3339. */
  readonly time?: string | undefined;
  readonly root?: string | undefined;
  readonly hosts: number;
  readonly findings: number;
  /** Heads of its roots that its mirror has. */
  readonly mirrored: number;
}

interface Place {
  readonly log: CellLog;
  readonly journal: JournalIn;
}

/** After the last line of each. */
export async function judgeCells(
  logs: readonly CellLog[],
  asked: CellsAsked,
  find: FindRecord,
): Promise<{ readonly rows: readonly CellRow[]; readonly findings: readonly CellFinding[] }> {
  const placed = new Map<string, Place[]>();
  for (const log of logs)
    for (const journal of log.journals.values()) {
      const places = placed.get(journal.journal) ?? [];
      placed.set(journal.journal, places);
      places.push({ log, journal });
    }
  const findings: CellFinding[] = [];
  const rows: CellRow[] = [];
  for (const log of logs) {
    const own = [...log.findings()];
    const { newest } = log;
    const { name } = log.expected;
    const { found, mirrored } =
      newest === undefined ? { found: [], mirrored: 0 } : await judgeCell(log, newest, placed, asked, find);
    if (newest === undefined)
      own.push({
        kind: 'missing',
        cell: name,
        text:
          log.passedOver === 0
            ? 'no root of this cell is there: look whether its file is copied'
            : `from_root is ${log.expected.fromRoot}, and its newest root is ${log.passedOver}: name that one, or an earlier one`,
      });
    const all = [...own, ...found];
    findings.push(...all);
    const hosts = new Set(newest?.heads.map(({ host }) => host)).size;
    const { seq, time, root } = newest ?? {};
    rows.push({ cell: name, seq, time, root, hosts, findings: all.length, mirrored });
  }
  for (const places of placed.values())
    if (places.length > 1) findings.push(...(await judgeMove(places, asked, find)));
  return { rows, findings };
}

async function judgeCell(
  log: CellLog,
  newest: ReadCheckpoint,
  placed: ReadonlyMap<string, readonly Place[]>,
  { nowMs, rootEveryMs }: CellsAsked,
  find: FindRecord,
): Promise<{ readonly found: readonly CellFinding[]; readonly mirrored: number }> {
  const { name: cell, hosts } = log.expected;
  const found: CellFinding[] = [];
  const tell = (kind: CellFindingKind, text: string, more: Partial<CellFinding> = {}): void => {
    found.push({ kind, cell, ...more, text });
  };
  const rootMs = parseTime(newest.time) ?? 0;
  const permitted = durationWords(rootEveryMs);
  if (nowMs - rootMs > rootEveryMs) {
    const text = `its newest root, ${newest.seq}, is of ${newest.time}, ${agoWords(nowMs - rootMs)} ago, and one must come within ${permitted}: its verifier stands still, or the copy does`;
    tell('late', text, { seq: newest.seq });
  }
  if (rootMs - nowMs > driftMs)
    tell(
      'clock-apart',
      `its newest root, ${newest.seq}, is of ${newest.time}, which has not come yet: look at the clocks`,
      {
        seq: newest.seq,
      },
    );
  const reported = Object.entries(newest.findings);
  if (reported.length > 0) {
    const kinds = reported.map(([kind, many]) => `${many} ${kind}`).join(', ');
    tell(
      'reported',
      `its verifier reported in root ${newest.seq}: ${kinds}; look there: dovegate audit fleet status`,
      {
        seq: newest.seq,
      },
    );
  }
  const isExpected = (host: string): boolean => hosts === undefined || hosts.has(host);
  const isElsewhere = ({ host, journal, seq }: SignedHead): boolean =>
    placed
      .get(journal)
      ?.some((other) => other.log !== log && other.journal.host === host && other.journal.seq > seq) === true;
  const named = new Map<string, SignedHead[]>();
  for (const head of newest.heads) named.set(head.host, [...(named.get(head.host) ?? []), head]);
  const signed = new Set([...log.journals.values()].map(({ host }) => host));
  for (const host of new Set([...(hosts?.keys() ?? []), ...signed])) {
    const heads = named.get(host);
    const [head] = (heads ?? []).toSorted((one, other) => other.storedMs - one.storedMs);
    const hasMoved = [...log.journals.values()].some((one) => one.host === host && isElsewhere(one));
    if (!isExpected(host) || hasMoved) continue;
    if (head === undefined) {
      const last = [...log.journals.values()].findLast((one) => one.host === host);
      const text =
        last === undefined
          ? `no root names it: look whether its gate sends to this cell`
          : `root ${last.root} named it with record ${last.seq}, and the newest, ${newest.seq}, does not: look who took it out`;
      tell('missing', text, { host, journal: last?.journal, seq: last?.seq });
    } else if (rootMs - head.storedMs > rootEveryMs) {
      const { journal, seq } = head;
      const since = formatTime(head.storedMs);
      const text = `its head did not move since ${since}, record ${seq}, and the newest root is of ${newest.time}: look whether it runs, and reaches the stream`;
      tell('late', text, { host, journal, seq });
    }
  }
  let mirrored = 0;
  const signedHeads = [...log.journals.values()].flatMap((journal) => {
    const { host, seq, hash, root } = journal;
    const isForgotten = (named.get(host)?.length ?? 0) >= bounds.fleetChains;
    const last = { journal, seq, hash, isNewest: root === newest.seq };
    const earlier = [...journal.left].map(([one, other]) => ({
      journal,
      seq: one,
      hash: other,
      isNewest: false,
    }));
    return [...(!last.isNewest && isForgotten ? [] : [last]), ...earlier];
  });
  for (const { journal, seq, hash, isNewest } of signedHeads) {
    const { host, journal: id, root } = journal;
    const place = { cell, host, journal: id };
    const own = await find(place, seq);
    const of = { host, journal: id, seq };
    if (isRecord(own) && own.hash !== hash)
      tell('changed', `its mirror has another record ${seq} of this journal than its roots sign`, of);
    else if (isRecord(own)) mirrored += 1;
    else if (own !== undefined && isNewest) {
      const text = `root ${root} signs record ${seq}, and its mirror does not have it: the journal was cut there, or the copy of the mirror is older than that of the roots`;
      tell('cut', text, of);
    } else if (
      own !== 'gone' &&
      !isNewest &&
      !(await isInAnother(placed.get(id) ?? [], log, { seq, hash }, find))
    ) {
      const now =
        root === newest.seq ? `the newest says ${journal.seq}` : `the newest does not name the journal`;
      // Without a list, the host is said to be missing.
      if (named.has(host) || (hosts !== undefined && !hosts.has(host)))
        tell(
          'cut',
          `a root signed record ${seq}, and ${now}: no mirror shows that the record is still there`,
          of,
        );
    }
  }
  return { found, mirrored };
}

const isRecord = (held: Held | undefined): held is Exclude<Held, string> => typeof held === 'object';

async function isInAnother(
  places: readonly Place[],
  log: CellLog,
  { seq, hash }: { readonly seq: number; readonly hash: string },
  find: FindRecord,
): Promise<boolean> {
  for (const other of places) {
    if (other.log === log) continue;
    const { host, journal } = other.journal;
    const held = await find({ cell: other.log.expected.name, host, journal }, seq);
    if (isRecord(held) && held.hash === hash) return true;
  }
  return false;
}

/**
 * One journal in several cells: each must go on where, or before, another one ends. That two hosts of one cell have it, the verifier of
 * that cell finds, where a person can accept it.
 */
async function judgeMove(
  all: readonly Place[],
  { rootEveryMs }: CellsAsked,
  find: FindRecord,
): Promise<readonly CellFinding[]> {
  const found: CellFinding[] = [];
  const [first, ...rest] = all.toSorted(
    (one, other) => one.journal.from - other.journal.from || one.journal.seq - other.journal.seq,
  );
  if (first === undefined) return found;
  let before = first;
  for (const next of rest) {
    const { host, journal, from, seq } = next.journal;
    const cell = next.log.expected.name;
    const at = { cell, host, journal };
    const beforeName = before.log.expected.name;
    const tell = (kind: CellFindingKind, of: number, text: string): void => {
      found.push({ kind, ...at, seq: of, text });
    };
    const end = before.journal.seq;
    if (next.log === before.log) {
      if (seq > end) before = next;
      continue;
    }
    if (host !== before.journal.host)
      tell(
        'twice',
        seq,
        `this is the journal of ${before.journal.host} in cell ${beforeName}: one machine was copied, or somebody sends under a wrong name`,
      );
    if (from > end + 1)
      tell(
        'gap',
        end + 1,
        `records ${end + 1} to ${from - 1} are in no cell: ${beforeName} ends with ${end}, and ${cell} begins with ${from}; its gate still has them, or nobody`,
      );
    else {
      // The last record that both sign for, or the one before the first of the next.
      const common = Math.min(end, seq);
      const hash = common === end ? before.journal.hash : next.journal.hash;
      const where = common === end ? at : { cell: beforeName, host: before.journal.host, journal };
      const held = await find(where, from > end ? from : common);
      const has = isRecord(held) && (from > end ? held.prev : held.hash);
      if (isRecord(held) && has !== hash)
        tell(
          'changed',
          common,
          `record ${common} is another one in cell ${cell} than in cell ${beforeName}: one of the two was changed`,
        );
    }
    const bothMs = Math.max(before.journal.firstMs, next.journal.firstMs) + rootEveryMs;
    const isPlanned = [before, next].every(({ log }) => log.expected.hosts?.has(host) === true);
    if (!isPlanned && Math.min(before.journal.storedMs, next.journal.storedMs) > bothMs)
      tell(
        'twice',
        seq,
        `it sends to cell ${beforeName} and to cell ${cell} since ${formatTime(bothMs - rootEveryMs)}: end one of the two, or list it in both`,
      );
    if (seq > end) before = next;
  }
  return found;
}

/** `passed: 3 cells, 2,400 hosts: ...`, or the number of problems. */
export function describeCells(rows: readonly CellRow[], findings: readonly CellFinding[]): string {
  const hosts = rows.reduce((sum, row) => sum + row.hosts, 0);
  const all = `${plural(rows.length, 'cell')}, ${plural(hosts, 'host')}`;
  if (findings.length === 0)
    return `passed: ${all}: every root follows the one before, and no host is missing, late or changed`;
  const bad = new Set(findings.map(({ cell }) => cell)).size;
  return `failed: ${all}: ${plural(findings.length, 'finding')}, at ${plural(bad, 'cell')}`;
}
