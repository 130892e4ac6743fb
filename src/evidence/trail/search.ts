// Finds exchanges in a trail: pairs each admission with its completion and returns one row. A decoder over pieces of whole lines; lines
// that cannot match are skipped without being parsed, because journals have many GiB. For a search by name without a hit, it reports what
// was searched, and what retention had removed before. Damage is skipped. Verify decides what can be trusted.

import { nearestName } from '../../doveadm/names/nearest-name.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { classOfOutcome, notOk, outcomeWords, type RowKind, rowKinds } from '../../gate/outcome/class.js';
import {
  asCount,
  asList,
  asObject,
  asText,
  asTexts,
  isCount,
  isText,
  parseLine,
  type StoredRecord,
} from '../../host/values/values.js';
import { formatTime, parseTime } from '../../host/words/instants.js';
import { foldAscii, formatRecorded, quote } from '../../host/words/text.js';
import { eventPlace, isEventAt, readHead, readWord, timeBefore } from '../../journal/records/record.js';
import { named, type Sketch, shown } from '../../journal/records/sketch.js';
import { argumentCount, joinArguments, textIn } from '../../journal/records/stored.js';
import { contentOf } from '../story/content.js';
import {
  anyWord,
  backendOf,
  hasOutcome,
  isFitting,
  isNameAlone,
  isOfRequests,
  isPerson,
  kindOf,
  requesterOf,
  shownEffect,
} from '../story/row.js';
import type { RetiredRecords, Surveyed, TrailRow } from '../views/trail.js';
import { createUserSearch } from './user-search.js';
import { damagesOf, noteRetired } from './verify.js';

const besideKeys = ['would', 'shadow'] as const;

export interface ExchangeRow extends TrailRow {
  /** Seq of its argument records; absent: it has none, or not all were found. */
  readonly argumentSeqs?: readonly number[] | undefined;
}

/** Exchanges without completion; a forged journal must not fill the memory. */
const waitingMax = 200_000;
/** Bytes of these and their argument records. Beyond it an admission is not found, or only its first and last arguments are shown. */
const keptBytesMax = 64 * 1024 ** 2;

export type TrailSearch = ReturnType<typeof createSearch>;

/** One search, fed with the trail in its order. */
export function createSearch(filter: TrailFilter) {
  /** Possible matches, by the admission's id: the position in this piece, and copies from earlier pieces. */
  const here = new Map<string, number>();
  const before = new Map<string, Buffer>();
  const parts = new Map<string, Buffer[]>();
  let keptBytes = 0;
  // All commands match, even those without users.
  const isForAll = filter.user === undefined || /^\*+$/.test(filter.user);
  const user = isForAll ? undefined : createUserSearch(filter.user ?? '');
  const kinds = kindsOf(filter);
  const isOfExchanges = kinds.has('command') || kinds.has('count');
  const own = needlesOf(filter);
  const isByUser = user?.needles !== undefined && filter.id === undefined && filter.session === undefined;
  /** Every match contains one of these; undefined: there is no such text. Ids and sessions are the most specific, then users. */
  const needles = isByUser ? user.needles : (own[0] ?? eventNeedles(kinds));
  const others = isByUser ? own : own.slice(1);
  const { sinceMs = -Infinity, untilMs = Infinity, principal, by } = filter;
  const since = sinceMs === -Infinity ? '' : formatTime(Math.floor(sinceMs));
  const until = untilMs === Infinity ? '~' : formatTime(Math.ceil(untilMs));
  const isTimed = since !== '' || until !== '~';
  const text = filter.text === undefined ? undefined : Buffer.from(quote(filter.text).slice(1, -1));
  const wantedReason = filter.reason?.toLowerCase();
  const outcomes = outcomesOf(filter.outcome)?.map((word) => memberOf('outcome', word));
  const backend = filter.backend === undefined ? undefined : memberOf('backend', filter.backend);

  return {
    /** A piece of whole lines; returns each row at its completion. */
    take(piece: Buffer): ExchangeRow[] {
      const rows: ExchangeRow[] = [];
      const hits = needles?.map(() => -1);
      let hit = -1;
      for (let at = 0; at < piece.length; ) {
        if (needles !== undefined && hits !== undefined && hit < at) hit = nextHit(piece, at, needles, hits);
        if (here.size + before.size === 0 && hit > at) {
          // Nothing before the next hit can match.
          if (hit === Infinity) break;
          at = piece.lastIndexOf(0x0a, hit) + 1;
        }
        const end = from(piece.indexOf(0x0a, at), piece.length);
        const eventAt = eventPlace(piece, at);
        if (isOfExchanges && isEventAt(piece, eventAt, 'ad') && (needles === undefined || hit < end))
          admit(piece, at, end, eventAt);
        else if (isEventAt(piece, eventAt, 'ar')) addPart(piece, at, end, eventAt);
        else if (here.size + before.size > 0 && isEventAt(piece, eventAt, 'co'))
          finishOne(piece, piece.subarray(at, end), idAfter(piece, eventAt, end) ?? '', rows);
        else if (isDeed(piece, eventAt))
          addDeed(piece, at, end, eventAt, rows, needles === undefined || hit < end);
        at = end + 1;
      }
      // The caller reuses the piece.
      for (const [id, at] of here) keep(id, lineAt(piece, at));
      here.clear();
      return rows;
    },
    /** Takes only the ends of waiting admissions from later records, for readers from the end of the trail. `show`: a line as displayed. */
    takeEnds(piece: Buffer, show: (line: Buffer) => Buffer): ExchangeRow[] {
      const rows: ExchangeRow[] = [];
      for (let at = 0; at < piece.length && before.size > 0; ) {
        const end = from(piece.indexOf(0x0a, at), piece.length);
        const eventAt = eventPlace(piece, at);
        if (isEventAt(piece, eventAt, 'ar')) addPart(piece, at, end, eventAt, show);
        else if (isEventAt(piece, eventAt, 'co'))
          finishOne(piece, piece.subarray(at, end), idAfter(piece, eventAt, end) ?? '', rows, show);
        else if (isDeed(piece, eventAt)) addDeed(piece, at, end, eventAt, rows, false, show);
        at = end + 1;
      }
      return rows;
    },
    finish(): ExchangeRow[] {
      const rows = [...before].map(([id, line]) => row(line, undefined, parts.get(id) ?? []));
      before.clear();
      parts.clear();
      keptBytes = 0;
      return rows.filter((one) => one !== undefined);
    },
    /** Between two pieces: the lines of admissions without completion, each with those of its argument records. */
    waiting: (): readonly Buffer[] => [...before].map(([id, line]) => withParts(line, parts.get(id))),
  };

  function admit(piece: Buffer, at: number, end: number, eventAt: number): void {
    if (here.size + before.size >= waitingMax) return;
    if (isTimed) {
      const time = timeBefore(piece, eventAt);
      if (time < since || time > until) return;
    }
    if (others.length > 0 || user !== undefined) {
      const line = piece.subarray(at, end);
      if (
        user?.isLineWanted(line) === false ||
        !others.every((some) => some.some((one) => line.includes(one)))
      )
        return;
    }
    const id = idAfter(piece, eventAt, end);
    if (id !== undefined) here.set(id, at);
  }

  /** `isHit`: the line may match. An operator's action waits for the record of its end. */
  function addDeed(
    piece: Buffer,
    at: number,
    end: number,
    eventAt: number,
    rows: ExchangeRow[],
    isHit: boolean,
    show?: (line: Buffer) => Buffer,
  ): void {
    if (!isHit && here.size + before.size === 0) return;
    const line = piece.subarray(at, end);
    const deed = isEventAt(piece, eventAt, 'op') ? deedIn(line) : undefined;
    if (deed !== undefined && line.includes(outcomeText)) return finishOne(piece, line, deed, rows, show);
    const time = timeBefore(piece, eventAt);
    if (!isHit || time < since || time >= until) return;
    if (deed !== undefined) {
      if (kinds.has('operator') && here.size + before.size < waitingMax) here.set(deed, at);
      return;
    }
    if (text !== undefined && !line.includes(text)) return;
    const { prev: _, hash: _h, seq, ...fields } = parseLine(line.toString('utf8')) ?? {};
    const kind = kindOf(fields);
    // A copy at the head of a segment is no event.
    if (kind === undefined || !kinds.has(kind) || fields['carried'] === true || !isCount(seq)) return;
    const one = { fields, admittedSeq: seq, completedSeq: seq, completedTime: time };
    if (filter.outcome !== undefined && !hasOutcome(one, filter.outcome)) return;
    if (filter.backend !== undefined && fields['backend'] !== filter.backend) return;
    if (isWanted(fields)) rows.push(one);
  }

  /** Argument records of other commands are skipped: an admission comes before its own. */
  function addPart(
    piece: Buffer,
    at: number,
    end: number,
    eventAt: number,
    show?: (line: Buffer) => Buffer,
  ): void {
    if (here.size + before.size === 0) return;
    const id = idAfter(piece, eventAt, end) ?? '';
    if ((!here.has(id) && !before.has(id)) || keptBytes > keptBytesMax) return;
    const line = piece.subarray(at, end);
    const part = copyOf(show === undefined ? line : withoutEnd(show(line)));
    const known = parts.get(id);
    // A later reading may reach the same lines again.
    if (known?.some((one) => one.equals(part)) === true) return;
    keptBytes += part.length;
    if (known === undefined) parts.set(id, [part]);
    else known.push(part);
  }

  function takeParts(id: string): readonly Buffer[] {
    const found = parts.get(id) ?? [];
    parts.delete(id);
    for (const { length } of found) keptBytes -= length;
    return found;
  }

  function keep(id: string, line: Buffer): void {
    drop(id);
    if (keptBytes + line.length > keptBytesMax) return void takeParts(id);
    keptBytes += line.length;
    before.set(id, copyOf(line));
  }

  function drop(id: string): void {
    keptBytes -= before.get(id)?.length ?? 0;
    before.delete(id);
  }

  function finishOne(
    piece: Buffer,
    line: Buffer,
    id: string,
    rows: ExchangeRow[],
    show?: (line: Buffer) => Buffer,
  ): void {
    const place = here.get(id);
    const admission = place === undefined ? before.get(id) : lineAt(piece, place);
    if (admission === undefined) return;
    if (place === undefined) drop(id);
    else here.delete(id);
    const found = row(admission, show === undefined ? line : show(line), takeParts(id));
    if (found !== undefined) rows.push(found);
  }

  /** Undefined: it does not match, or is not a command. A "no" of the bytes is final; a "yes" is checked on the parsed record. */
  function row(
    admission: Buffer,
    completion: Buffer | undefined,
    records: readonly Buffer[],
  ): ExchangeRow | undefined {
    const isAnywhere = (part: Buffer | undefined): boolean =>
      part === undefined || admission.includes(part) || completion?.includes(part) === true;
    if (
      !isAnywhere(backend) ||
      (records.length === 0 && !isAnywhere(text) && !cutTexts.some((cut) => admission.includes(cut)))
    )
      return undefined;
    if (completion !== undefined && outcomes?.some((word) => completion.includes(word)) === false)
      return undefined;
    const recorded = parseLine(admission.toString('utf8'));
    const admitted = recorded === undefined ? undefined : joined(recorded, records);
    // A word may be split between two records.
    const hasWord = isAnywhere(text) || holdsText(admitted) || isRowCut(admitted ?? {});
    if (!hasWord) return undefined;
    if (admitted === undefined || !isText(admitted['id'] ?? admitted['deed']) || !isWanted(admitted))
      return undefined;
    const ended = completion === undefined ? undefined : parseLine(completion.toString('utf8'));
    const { seq, time, event: _, prev: _p, hash: _h, ...more } = ended ?? {};
    const { event, prev: _q, hash: _i, seq: admittedSeq, ...fields } = admitted;
    const merged: StoredRecord = {
      ...(event !== 'admission' && { event }),
      ...fields,
      ...more,
      ...(fields['text'] !== undefined && { text: fields['text'] }),
    };
    const ending = { fields: merged, completedSeq: ended && 0 };
    if (filter.outcome !== undefined && !hasOutcome(ending, filter.outcome)) return undefined;
    if (filter.backend !== undefined && backendOf(ending) !== filter.backend) return undefined;
    const argumentSeqs = admitted === recorded ? undefined : seqsOf(records);
    return {
      ...(argumentSeqs === undefined ? {} : { argumentSeqs }),
      fields: merged,
      ...(isText(more['text']) && { said: more['text'] }),
      admittedSeq: asCount(admittedSeq),
      completedSeq: asCount(seq),
      completedTime: asText(time),
    };
  }

  function holdsText(record: StoredRecord | undefined): boolean {
    return (
      text === undefined ||
      formatRecorded([record?.['args'], record?.['users']]).includes(text.toString('utf8'))
    );
  }

  function isWanted(record: StoredRecord): boolean {
    const isOwnCount = record['event'] === 'admission' && record['for'] !== undefined;
    if (record['event'] === 'admission' && !kinds.has(isOwnCount ? 'count' : 'command')) return false;
    if (user?.isWanted(record) === false) return false;
    if (principal !== undefined) {
      // The rest of a name that was cut can match only patterns.
      const rest = principal.includes('*') ? shown(record['principal']) : '';
      if (!isFitting(requesterOf({ fields: record }) || rest, principal)) return false;
    }
    if (by !== undefined) {
      // A search by which dovegate counted mails is not done by a person.
      if (isOwnCount || ![record['by'], record['principal']].some((name) => isPerson(shown(name), by)))
        return false;
    }
    const effect = filter.effect && shownEffect(shown(record['effect']), contentOf(record));
    if (effect !== filter.effect) return false;
    for (const key of ['listener', 'policy', 'id', 'session'] as const) {
      if (filter[key] !== undefined && record[key] !== filter[key]) return false;
    }
    if (wantedReason !== undefined && !shown(record['reason']).toLowerCase().includes(wantedReason))
      return false;
    for (const key of besideKeys) {
      const isFound = filter[key] === anyWord ? record[key] !== undefined : record[key] === filter[key];
      if (filter[key] !== undefined && !isFound) return false;
    }
    // A search that counts mails for a request names it, too, but is no command of its history.
    const request =
      record['event'] === 'access' || record['for'] === undefined ? record['request'] : undefined;
    if (filter.grant !== undefined && (record['grant'] ?? request) !== filter.grant) return false;
    const { command } = filter;
    const name = shown(record['command']);
    if (command !== undefined && name !== command && !name.startsWith(`${command} `)) return false;
    const timeMs = isTimed ? (parseTime(shown(record['time'])) ?? 0) : 0;
    return !isTimed || (timeMs >= sinceMs && timeMs < untilMs);
  }
}

/** Whether an admission, with its argument records, still omits arguments or users: it may contain any word there. */
export function isRowCut({ args, users }: StoredRecord): boolean {
  return [args, users].some((list) =>
    asList(list)?.some((one) => {
      const { more, cut } = asObject(one) ?? {};
      return more !== undefined || cut !== undefined;
    }),
  );
}

const cutTexts = ['{"more":', '{"cut":'].map((text) => Buffer.from(text));

function joined(admission: StoredRecord, records: readonly Buffer[]): StoredRecord {
  if (argumentCount(admission) === 0 || records.length === 0) return admission;
  const parsed = records.map((line) => parseLine(line.toString('utf8')) ?? {});
  return joinArguments(admission, parsed) ?? admission;
}

function seqsOf(records: readonly Buffer[]): readonly number[] {
  return records.flatMap((line) => {
    const seq = parseLine(line.toString('utf8'))?.['seq'];
    return isCount(seq) ? [seq] : [];
  });
}

function withParts(admission: Buffer, parts: readonly Buffer[] | undefined): Buffer {
  if (parts === undefined) return admission;
  return Buffer.concat([admission, ...parts.flatMap((part) => [lineFeed, part])]);
}

const lineFeed = Buffer.from('\n');

/** With memory of its own: a copy in the shared pool of Node keeps 8 KiB alive. */
function copyOf(line: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(line.length);
  line.copy(copy);
  return copy;
}

function withoutEnd(line: Buffer): Buffer {
  return line[line.length - 1] === 0x0a ? line.subarray(0, -1) : line;
}

/** `access`, `lock`, `operator`, `session-open`, `session-close`. */
function isDeed(piece: Buffer, eventAt: number): boolean {
  return (
    isEventAt(piece, eventAt, 'ac') ||
    isEventAt(piece, eventAt, 'loc') ||
    isEventAt(piece, eventAt, 'op') ||
    isEventAt(piece, eventAt, 'se')
  );
}

/** For a found row: whether it names such a user literally, not only by a mask or an incomplete list. */
export function createNameTest({ user }: TrailFilter): (row: ExchangeRow) => boolean {
  const search = user === undefined ? undefined : createUserSearch(user);
  return ({ fields }) => search?.isNamed(fields) ?? true;
}

/** Whether a record with such a user or mask may concern a user that the search's pattern covers. `nameCase`: `case` of that record. */
export function createCoverTest(user: string): (name: string, nameCase?: unknown) => boolean {
  const search = createUserSearch(user);
  return (name, nameCase) => search.isWanted({ user: name, users: [name], case: nameCase });
}

function memberOf(key: string, value: string): Buffer {
  return Buffer.from(`,"${key}":${quote(value)}`);
}

/** The outcomes that a completion may have. Undefined: any, since unknown words count as `unknown`. */
function outcomesOf(wanted: string | undefined): readonly string[] | undefined {
  if (wanted === undefined || wanted === 'unknown' || wanted === notOk) return undefined;
  return [wanted, ...outcomeWords.filter((word) => classOfOutcome(word) === wanted)];
}

/** What is looked for: see {@link TrailFilter.kind}. */
export function kindsOf({ kind, by, grant, id, outcome, isWithCounts }: TrailFilter): ReadonlySet<RowKind> {
  if (kind === 'all' || (kind === undefined && by !== undefined)) return new Set(rowKinds);
  if (kind !== undefined) return new Set([kind]);
  const counts = isWithCounts === true || id !== undefined ? (['count'] as const) : [];
  const isWithAccess = grant !== undefined || isOfRequests(outcome);
  return new Set(isWithAccess ? ['command', 'access', ...counts] : ['command', ...counts]);
}

/** Texts of which a match has one of each list. The most specific list comes first: the search goes from one hit to the next. */
function needlesOf(filter: TrailFilter): Buffer[][] {
  const needles: Buffer[][] = [];
  const { id, session, grant, by, principal, command, listener, policy } = filter;
  const add = (...texts: string[]): number => needles.push(texts.map((one) => Buffer.from(one)));
  if (id !== undefined) add(`,"id":${quote(id)}`);
  if (session !== undefined) add(`,"session":${quote(session)}`);
  if (grant !== undefined) add(`,"grant":${quote(grant)}`, `,"request":${quote(grant)}`);
  // Names stand in several keys.
  if (by !== undefined && isNameAlone(by)) add(quote(by).slice(0, -1), quote(`page:${by}`));
  else if (by !== undefined)
    for (const part of by.includes('*') ? partsOf(by) : [quote(by).slice(0, -1)]) add(part);
  if (principal?.includes('*') === true) for (const part of partsOf(principal)) add(part);
  else if (principal !== undefined) add(quote(principal));
  if (command !== undefined) add(`,"command":${quote(command).slice(0, -1)}`);
  // Content is shown by commands that read.
  const effect = filter.effect === 'content' ? 'read' : filter.effect;
  for (const [key, value] of Object.entries({ listener, policy, effect }))
    if (value !== undefined) add(`,"${key}":${quote(value)}`);
  for (const key of besideKeys)
    if (filter[key] !== undefined) add(`,"${key}":${filter[key] === anyWord ? '"' : quote(filter[key])}`);
  return needles;
}

/** Other records than those of commands are few: their events are found without a look at each line. */
function eventNeedles(kinds: ReadonlySet<RowKind>): Buffer[] | undefined {
  return kinds.has('command') || kinds.has('count')
    ? undefined
    : ['access', 'lock', 'operator', 'session-'].map((event) => Buffer.from(`"event":"${event}`));
}

/** The parts of a pattern as they occur in a line: the first after a quote, the last before one, also in a cut value. */
function partsOf(pattern: string): string[] {
  const parts = pattern.split('*');
  return parts.flatMap((part, at) =>
    part === '' ? [] : [quote(part).slice(at === 0 ? 0 : 1, at === parts.length - 1 ? undefined : -1)],
  );
}

/** The next position of a needle, Infinity: none; `hits`: the last position of each, before which it does not occur. */
export function nextHit(piece: Buffer, at: number, needles: readonly Buffer[], hits: number[]): number {
  let first = Infinity;
  for (const [index, needle] of needles.entries()) {
    const known = hits[index] ?? -1;
    const hit = known < at ? from(piece.indexOf(needle, at)) : known;
    hits[index] = hit;
    if (hit < first) first = hit;
  }
  return first;
}

function from(at: number, otherwise = Infinity): number {
  return at < 0 ? otherwise : at;
}

function lineAt(piece: Buffer, at: number): Buffer {
  return piece.subarray(at, from(piece.indexOf(0x0a, at), piece.length));
}

/** The record of the line in which a position is. */
export function recordAround(piece: Buffer, at: number): StoredRecord | undefined {
  return parseLine(lineAt(piece, piece.lastIndexOf(0x0a, at) + 1).toString('utf8'));
}

const idText = Buffer.from(',"id":"');
const outcomeText = Buffer.from(',"outcome":"');

function deedIn(line: Buffer): string | undefined {
  return line.includes(deedText) ? readWord(line.toString('latin1'), 'deed') : undefined;
}

const deedText = Buffer.from(',"deed":"');

export function idAfter(piece: Buffer, eventAt: number, end: number): string | undefined {
  const at = piece.indexOf(idText, eventAt) + idText.length;
  if (at < idText.length || at >= end) return undefined;
  const close = piece.indexOf(0x22, at);
  return close < 0 || close > end ? undefined : piece.toString('latin1', at, close);
}

const namesMax = 3;
/** Users of the requested domain among which the nearest name is looked for. */
const likeNamesMax = 1000;

/**
 * Finds users with names similar to a name, among those passed to `take`. Without a domain: the first few with this name in any domain.
 * With one: the nearest name in this domain, and the same name in the nearest domain.
 */
export function createLikeNames(wanted: string): { take(name: string): void; names(): readonly string[] } {
  const at = wanted.lastIndexOf('@');
  const [local, domain] = at < 0 ? [wanted, undefined] : [wanted.slice(0, at), wanted.slice(at + 1)];
  const alike = new Set<string>();
  const locals = new Set<string>();
  const domains = new Set<string>();
  return {
    take(name) {
      if (name === wanted) return;
      const found = name.lastIndexOf('@');
      if (domain === undefined) {
        if (alike.size < namesMax && name.startsWith(`${wanted}@`)) alike.add(name);
      } else if (name.slice(found + 1) === domain && found > 0) {
        if (locals.size < likeNamesMax) locals.add(name.slice(0, found));
      } else if (found > 0 && name.slice(0, found) === local && domains.size < likeNamesMax)
        domains.add(name.slice(found + 1));
    },
    names() {
      if (domain === undefined) return [...alike];
      const nearLocal = nearestName(local, locals);
      const nearDomain = nearestName(domain, domains);
      return [
        ...(nearLocal === undefined ? [] : [`${nearLocal}@${domain}`]),
        ...(nearDomain === undefined ? [] : [`${local}@${nearDomain}`]),
      ];
    },
  };
}
/** Limit of lines that contain the name without being about a user. */
const parsedMax = 10_000;
/** The time and the event of a record are within its first bytes. */
const headBytes = 96;

/** Counts what a search without a hit looked through, and finds similar user names. `take`: the trail in order, in whole lines. */
export function createSurvey(asked: Pick<TrailFilter, 'user' | 'sinceMs' | 'untilMs'>) {
  const since = asked.sinceMs === undefined ? '' : formatTime(asked.sinceMs);
  const until = asked.untilMs === undefined ? '~' : formatTime(asked.untilMs);
  const { user = '' } = asked;
  // As recorded by servers that keep the case of names, and by others.
  const wanted = user === '' || user.includes('*') ? [] : [...new Set([user, foldAscii(user)])];
  const needles = wanted.flatMap(likeNeedles);
  const likeTokens = wanted.flatMap(partsOfName).map(named);
  const likes = wanted.map(createLikeNames);
  const exacts = wanted.map((name) => Buffer.from(quote(name)));
  const search = createUserSearch(user);
  let isNamed = false;
  let exactParsed = 0;
  let parsed = 0;
  let records = 0;
  let all = 0;
  let firstTime: string | undefined;
  let lastTime: string | undefined;

  return {
    take(piece: Buffer): void {
      for (let at = 0; at < piece.length; ) {
        const end = from(piece.indexOf(0x0a, at), piece.length);
        const time = readHead(piece.toString('latin1', at, Math.min(at + headBytes, end)))?.time;
        if (time !== undefined) {
          firstTime ??= time;
          lastTime = time;
          all += 1;
          if (time >= since && time < until) records += 1;
        }
        at = end + 1;
      }
      for (const needle of needles) findNames(piece, needle);
      for (const exact of exacts) findExact(piece, exact);
    },
    /** Takes a part by its sketch. False: its text is needed. */
    takeSketch({ lines, minMs, maxMs, mayHold }: Sketch): boolean {
      const [first, last] = [formatTime(minMs), formatTime(maxMs)];
      const isIn = first >= since && last < until;
      const isLike = parsed < parsedMax && likeTokens.some(mayHold);
      const isExact = !isNamed && exactParsed < parsedMax && wanted.map(named).some(mayHold);
      if (isLike || isExact || (!isIn && last >= since && first < until)) return false;
      firstTime ??= first;
      lastTime = last;
      all += lines;
      if (isIn) records += lines;
      return true;
    },
    finish(): Surveyed {
      const names = [...new Set(likes.flatMap((like) => like.names()))].slice(0, namesMax);
      return { records, all, firstTime, lastTime, names, isNamed };
    },
  };

  /** The name may be that of a requester too. */
  function findExact(piece: Buffer, name: Buffer): void {
    for (let at = piece.indexOf(name); at >= 0 && !isNamed; at = piece.indexOf(name, at + 1)) {
      if (exactParsed >= parsedMax) return;
      exactParsed += 1;
      isNamed = search.isNamed(recordAround(piece, at) ?? {});
    }
  }

  function findNames(piece: Buffer, name: Buffer): void {
    for (let at = piece.indexOf(name); at >= 0; at = piece.indexOf(name, at + 1)) {
      if (parsed >= parsedMax) return;
      parsed += 1;
      const record = recordAround(piece, at) ?? {};
      for (const found of asTexts([record['user'], ...(asList(record['users']) ?? [])]))
        for (const like of likes) like.take(found);
    }
  }
}

function likeNeedles(wanted: string): Buffer[] {
  const [local = '', domain] = partsOfName(wanted);
  const texts = [quote(local).slice(0, -1), ...(domain === undefined ? [] : [quote(domain).slice(1)])];
  return texts.map((text) => Buffer.from(text));
}

/** The beginning of similar names, and their end if the name has a domain. */
function partsOfName(name: string): readonly string[] {
  const at = name.lastIndexOf('@');
  return at < 0 ? [`${name}@`] : [name.slice(0, at + 1), name.slice(at)];
}

const retireText = Buffer.from('"event":"retire"');

export function createRetirements() {
  const retired = new Map<RetiredRecords['by'], RetiredRecords>();
  return {
    take(piece: Buffer): void {
      for (let at = piece.indexOf(retireText); at >= 0; at = piece.indexOf(retireText, at + 1)) {
        const record = recordAround(piece, at);
        if (record !== undefined) noteRetired(retired, record);
      }
    },
    /** Removed records that may be of that time or later. */
    since(timeMs: number | undefined): RetiredRecords[] {
      const after = timeMs === undefined ? '' : formatTime(timeMs);
      return [...retired.values()].filter(({ until }) => until === undefined || until > after);
    },
  };
}

const startText = Buffer.from('"event":"start"');

/** Sentences about the damage that starts found. */
export function createStartDamages(sinceMs = 0) {
  const damages: string[] = [];
  return {
    take(piece: Buffer): void {
      for (let at = piece.indexOf(startText); at >= 0; at = piece.indexOf(startText, at + 1)) {
        const record = recordAround(piece, at);
        const time = textIn(record, 'time');
        if (record?.['event'] !== 'start' || (parseTime(time) ?? 0) < sinceMs) continue;
        for (const { text } of damagesOf(record)) damages.push(`at ${time} ${text}`);
      }
    },
    damages,
  };
}
