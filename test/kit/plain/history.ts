// What happened, as a reader of docs/ and of the raw journal says it: JSON lines, in the order of their `seq`. Written apart from all
// readers of src/, of which nothing is imported, so that both agree only if both are right.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'yaml';

type Line = Readonly<Record<string, unknown>>;

/** One command of a client, or a search that the gate made for one (`countedFor`). */
export interface Told {
  readonly id: string;
  readonly seq: number;
  /** That of its end; Infinity: none is recorded. */
  readonly endSeq: number;
  /** RFC 3339, of when it came, and of its end ('': none is recorded). */
  readonly time: string;
  readonly ended: string;
  readonly principal: string;
  readonly command: string;
  readonly effect: string;
  readonly users: readonly string[];
  readonly policy: string;
  readonly version: string;
  readonly isAllowed: boolean;
  /** Some of its words are recorded as digests. */
  readonly isRedacted: boolean;
  /** False: its line was not read so far, so its words are not recorded. */
  readonly isRead: boolean;
  readonly grant: string;
  readonly countedFor: string;
  readonly backend: string;
  /** `open`: no end is recorded. */
  readonly outcome: string;
  readonly error: string;
  readonly status: string;
  readonly lock: string;
  readonly sent: 'yes' | 'no' | 'maybe';
  readonly tookMs: number;
  readonly became: 'ok' | 'denied' | 'failed' | 'unknown';
  /** Whose matter it is that it did not end well; '': it did. */
  readonly fault: '' | 'policy' | 'requester' | 'operator' | 'server' | 'gate';
}

export interface Event {
  readonly kind: string;
  readonly backend: string;
  /** '': it began before the first record that counts, or has not ended. */
  readonly since: string;
  readonly until: string;
  /** Commands that it cost, and how many requesters had one of them; undefined: the journal says nothing of it. */
  readonly cost: readonly [commands: number, requesters: number] | undefined;
  /** A crash took a part of what was counted. */
  readonly isCut: boolean;
  /** There may have been more: it began before, or meanwhile the journal took nothing for some time. */
  readonly isUnseen: boolean;
  readonly isCrash: boolean;
  /** Of a crash: commands without an end; what was killed. */
  readonly left: readonly string[] | undefined;
  /** Who did it; '': nobody. */
  readonly by: string;
  readonly lock: string;
  /** Requesters, with how many of their commands it cost. */
  readonly hit: readonly string[];
}

export interface Period {
  readonly seq: number;
  readonly commands: number;
  readonly deniedBefore: number;
  /** That ran, and cannot be judged by the policies before, since their words are recorded as digests. */
  readonly redacted: number;
  /** Something that was denied before is not any more. */
  readonly isWider: boolean;
}

const text = (line: Line, key: string): string => {
  const value = line[key];
  return typeof value === 'string' ? value : '';
};
const seqOf = (line: Line): number => Number(line['seq']);

export function readJournal(directory: string): readonly Line[] {
  return readdirSync(directory)
    .filter((name) => /^\d+\.jsonl(\.gz)?$/.test(name))
    .toSorted()
    .flatMap((name) => {
      const bytes = readFileSync(join(directory, name));
      const lines = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n');
      return lines.filter((line) => line !== '').map((line): Line => JSON.parse(line));
    });
}

const classes: Readonly<Record<string, Told['became']>> = {
  ok: 'ok',
  denied: 'denied',
  unparsable: 'denied',
  limited: 'denied',
  failed: 'failed',
  partly: 'failed',
  timeout: 'failed',
  unknown: 'unknown',
  aborted: 'unknown',
  open: 'unknown',
};

/** Statuses of a backend by which what the requester named is not there, or cannot be. */
const ofRequester = /^-(?:NOUSER|NOTFOUND|DATAERR|USAGE|EXPIRED|CHANGED)\b/;
const ofServer =
  /^(?:dial-refused|dial-timeout|tls-failed|auth-rejected|version-unsupported|closed-early|early-answer|not-all-backends|backend-failed|over-quota|reply-.*|lookup-.*)$/;

function faultOf(outcome: string, error: string, status: string, denial: string): Told['fault'] {
  if (outcome === 'ok' || outcome === 'open') return '';
  if (['killed', 'backend-drained', 'locked', 'held'].includes(error)) return 'operator';
  // What was given is over or used up, and can be asked for again.
  if (outcome === 'denied') return denial.startsWith('grant-') ? 'requester' : 'policy';
  if (outcome === 'unparsable') return 'requester';
  if (error === '') return ofRequester.test(status) ? 'requester' : 'server';
  if (error === 'client-gone') return 'requester';
  return ofServer.test(error) ? 'server' : 'gate';
}

export function commandsOf(journal: readonly Line[]): readonly Told[] {
  const ends = new Map<string, Line>();
  for (const line of journal) if (line['event'] === 'completion') ends.set(text(line, 'id'), line);
  return journal
    .filter((line) => line['event'] === 'admission')
    .map((line): Told => {
      const end = ends.get(text(line, 'id'));
      const of = (key: string): string => text(end ?? {}, key) || text(line, key);
      const [outcome, error] = [end === undefined ? 'open' : text(end, 'outcome'), of('error')];
      const isSent = end?.['sent'];
      const users = line['users'];
      return {
        id: text(line, 'id'),
        seq: seqOf(line),
        endSeq: end === undefined ? Infinity : seqOf(end),
        time: text(line, 'time'),
        ended: text(end ?? {}, 'time'),
        principal: text(line, 'principal'),
        command: text(line, 'command'),
        effect: text(line, 'effect'),
        users: Array.isArray(users) ? users.map(String) : [],
        policy: text(line, 'policy'),
        version: text(line, 'version'),
        isAllowed: line['decision'] === 'allow',
        isRead: line['args'] !== undefined,
        isRedacted: JSON.stringify(line['args'] ?? []).includes('{"hmac":'),
        grant: text(line, 'grant'),
        countedFor: text(line, 'for'),
        backend: of('backend'),
        outcome,
        error,
        status: of('status'),
        lock: of('lock'),
        sent: isSent === true ? 'yes' : isSent === false || line['decision'] === 'deny' ? 'no' : 'maybe',
        tookMs: Number(end?.['duration_ms'] ?? 0),
        became: classes[outcome] ?? 'unknown',
        fault: faultOf(outcome, error, of('status'), of('denial')),
      };
    });
}

/** What Now is to show of the last run at its end. */
export interface Present {
  readonly at: string;
  /** Code, backend or lock, since when (of a lock until when), and how many commands it has cost so far. */
  readonly problems: readonly (readonly [code: string, about: string, time: string, cost: number])[];
  /** What did not go well, by what is the same of it; the times of the first and of the last. */
  readonly troubles: ReadonlyMap<string, Trouble>;
  /** Of the last ten minutes, of which the first second may count or not. */
  readonly failed: readonly [least: number, most: number];
  readonly denied: readonly [least: number, most: number];
  /** Of the requesters: refused, or not sent, without a record. */
  readonly uncounted: ReadonlyMap<string, number>;
}

export interface Trouble {
  readonly ids: readonly string[];
  readonly since: string;
  readonly until: string;
}

export const troubleOf = (
  kind: string,
  principal: string,
  command: string,
  backend: string,
  owner: string,
): string => JSON.stringify([kind, principal, command, backend, owner]);

/** `at`: when Now was made, RFC 3339. */
export function presentOf(
  journal: readonly Line[],
  commands: readonly Told[],
  backends: readonly string[],
  at: string,
): Present {
  const begun = seqOf(journal.findLast((line) => line['event'] === 'start') ?? {});
  const own = journal.filter((line) => line['carried'] !== true && text(line, 'time') <= at);
  const ended = commands.filter(({ endSeq }) => endSeq > begun && Number.isFinite(endSeq));
  const last = (is: (line: Line) => boolean): Line | undefined =>
    own.findLast((line) => seqOf(line) > begun && is(line));
  const problems = backends.flatMap((backend): Present['problems'] => {
    const turned = own.findLast(
      (line) =>
        line['event'] === 'operator' &&
        line['backend'] === backend &&
        line['outcome'] === 'ok' &&
        ['drain', 'enable'].includes(text(line, 'action')),
    );
    const refused = ended.filter(
      (told) =>
        told.backend === backend &&
        told.error === 'backend-drained' &&
        told.endSeq > seqOf(turned ?? { seq: 0 }),
    );
    const ofOutage = own.filter(
      (line) => line['event'] === 'backend' && line['backend'] === backend && seqOf(line) > begun,
    );
    const up = ofOutage.findLastIndex((line) => line['action'] === 'up');
    const since = ofOutage.slice(up + 1).filter((line) => ['down', 'stuck'].includes(text(line, 'action')));
    const [first] = since;
    const lost = ended.filter(
      (told) => told.backend === backend && isHit(told) && told.endSeq > seqOf(first ?? { seq: Infinity }),
    );
    // One that is drained is not looked at.
    const down = since.findLast(
      (line) => line['action'] === 'down' && seqOf(line) > seqOf(turned ?? { seq: 0 }),
    );
    return [
      ...(text(turned ?? {}, 'action') === 'drain'
        ? [['backend-drained', backend, text(turned ?? {}, 'time'), refused.length] as const]
        : []),
      ...(down === undefined ? [] : [['backend-down', backend, text(down, 'time'), lost.length] as const]),
    ];
  });
  const down = problems.filter(([code]) => code === 'backend-down');
  const drained = problems.filter(([code]) => code === 'backend-drained');
  const areAllDown = down.length > 1 && down.length + drained.length === backends.length;
  const lastDown =
    down
      .map(([, , time]) => time)
      .toSorted()
      .at(-1) ?? '';
  const lockEvents = journal.filter((line) => line['event'] === 'lock' && text(line, 'time') <= at);
  const locks = [...new Set(lockEvents.map((line) => text(line, 'lock')))].flatMap(
    (id): Present['problems'] => {
      const now = lockEvents.findLast(
        (line) =>
          line['lock'] === id && ['locked', 'held', 'unlocked', 'expired'].includes(text(line, 'action')),
      );
      const [action, until] = [text(now ?? {}, 'action'), text(now ?? {}, 'until')];
      return action === 'locked' || action === 'held' ? [[action, id, until, 0]] : [];
    },
  );
  const space = last((line) => line['event'] === 'journal' && line['error'] === 'audit-reserve');
  const isReserve = space !== undefined && text(space, 'action') !== 'up';
  const troubles = new Map<string, Trouble>();
  for (const told of ended) {
    if (told.became === 'ok' || told.outcome === 'aborted') continue;
    const isUnwritten = ['audit-failed', 'audit-reserve', 'audit-share'].includes(told.error);
    const { principal, command, fault, id, ended: time } = told;
    const kind = told.became === 'denied' ? 'denied' : 'failed';
    const key = troubleOf(kind, principal, command, isUnwritten ? '' : told.backend, fault);
    const before = troubles.get(key);
    troubles.set(key, {
      ids: [...(before?.ids ?? []), id],
      since: before?.since ?? time,
      until: time,
    });
  }
  const counts = own.filter((line) => line['event'] === 'limit' && seqOf(line) > begun);
  const uncounted = new Map<string, number>();
  for (const line of counts) {
    const who = text(line, 'principal');
    uncounted.set(who, (uncounted.get(who) ?? 0) + Number(line['count']));
  }
  const within = (kind: 'denied' | 'failed', seconds: number): number => {
    const from = new Date(Date.parse(at) - seconds * 1000).toISOString();
    return ended.filter(
      (told) =>
        told.ended >= from &&
        told.outcome !== 'aborted' &&
        (kind === 'denied'
          ? told.became === 'denied'
          : told.became === 'failed' || told.became === 'unknown'),
    ).length;
  };
  const more = [...uncounted.values()].reduce((sum, count) => sum + count, 0);
  return {
    at,
    problems: [
      ...problems,
      ...(areAllDown ? [['backends-down', '', lastDown, 0] as const] : []),
      ...locks,
      ...(isReserve ? [['audit-reserve', '', '', 0] as const] : []),
    ],
    troubles,
    failed: [within('failed', 600), within('failed', 601) + more],
    denied: [within('denied', 600), within('denied', 601) + more],
    uncounted,
  };
}

/** Failed, as an outage counts it. */
function isHit({ became, outcome, error }: Told): boolean {
  return (
    (became === 'failed' || became === 'unknown') &&
    outcome !== 'aborted' &&
    !['backend-drained', 'audit-failed', 'audit-reserve', 'stopped'].includes(error)
  );
}

export interface Asked {
  readonly principal?: string;
  readonly user?: string;
  /** A class of outcomes. */
  readonly became?: string;
  readonly isOfLock?: boolean;
  readonly from?: string;
  readonly to?: string;
}

/** Only counted: refused, and not sent, of what surely matches; and those of which no record says whether they do. */
export function onlyCounted(
  journal: readonly Line[],
  { principal, user, became, isOfLock = false, from = '', to = '~' }: Asked,
): readonly [refused: number, unsent: number, unsure: number] {
  const sum: [number, number, number] = [0, 0, 0];
  for (const line of journal) {
    const [action, time, users] = [text(line, 'action'), text(line, 'time'), line['users']];
    if (line['event'] !== 'limit' || (action !== 'refused' && action !== 'unsent')) continue;
    if (time < from || time >= to) continue;
    if (became === 'ok' || (became !== undefined && (became === 'denied') !== (action === 'refused')))
      continue;
    const who = line['principal'];
    if (principal !== undefined && who !== undefined && who !== principal) continue;
    const mayBeOf = (name: unknown): boolean => name === user || name === '*';
    if (user !== undefined && Array.isArray(users) && !users.some(mayBeOf)) continue;
    // It names all users of all its commands, and of none what it ended with.
    const isSure =
      !isOfLock &&
      user === undefined &&
      (became === undefined || became === 'denied') &&
      (principal === undefined || who !== undefined);
    sum[isSure ? (action === 'refused' ? 0 : 1) : 2] += Number(line['count']);
  }
  return sum;
}

/** The seqs of a run: from its start to its last record, and whether the journal took nothing for some time. */
export function runsOf(
  journal: readonly Line[],
): readonly (readonly [from: number, to: number, isBlind: boolean])[] {
  const starts = journal.filter((line) => line['event'] === 'start');
  return starts.map((line, at) => {
    const next = starts[at + 1];
    const [from, to] = [seqOf(line), next === undefined ? Infinity : Number(next['last_seq'])];
    const isBlind = journal.some(
      (each) => each['error'] === 'audit-failed' && seqOf(each) > from && seqOf(each) <= to,
    );
    return [from, to, isBlind];
  });
}

/** All that the page calls incidents, in the order in which they began. `nowMs`: those of the 24 hours before. */
export function eventsOf(
  journal: readonly Line[],
  commands: readonly Told[],
  nowMs: number,
): readonly Event[] {
  const events: Event[] = [];
  interface Open {
    readonly kind: string;
    readonly backend: string;
    readonly since: string;
    readonly by?: string;
    readonly lock?: string;
    readonly is: (told: Told) => boolean;
    /** Where it counts: a run that crashed counts to its last record. */
    spans: [number, number][];
    isCut: boolean;
    /** When a later run began. */
    until: string;
  }
  const open = new Map<string, Open>();
  /** Outages at the last start, which go on if the next run finds them at its first attempt. */
  let cut = new Map<string, Open>();
  const none = {
    backend: '',
    cost: undefined,
    isCut: false,
    isUnseen: false,
    isCrash: false,
    left: undefined,
    by: '',
    lock: '',
    hit: [],
  };
  const close = (key: string, until: string, at: number): void => {
    const one = open.get(key);
    if (one === undefined) return;
    one.spans.at(-1)?.splice(1, 1, at);
    open.delete(key);
    events.push(made(one, until));
  };
  const made = (one: Open, until: string): Event => {
    const { kind, backend, since, is, spans, isCut, by = '', lock = '' } = one;
    const hit = commands.filter(
      (told) => is(told) && spans.some(([from, to]) => told.endSeq > from && told.endSeq < to),
    );
    const names = [...new Set(hit.map(({ principal }) => principal))];
    const requesters = names.length;
    const cost =
      kind === 'locked' || kind === 'held' || kind === 'blind'
        ? undefined
        : ([hit.length, requesters] as const);
    const counts = names.map((name) => `${name} ${hit.filter((told) => told.principal === name).length}`);
    return {
      ...none,
      kind,
      backend,
      since,
      until,
      cost,
      isCut,
      by,
      lock,
      hit: cost === undefined ? [] : counts,
    };
  };
  const begin = (key: string, one: Omit<Open, 'spans' | 'isCut' | 'until'>, at: number): void => {
    if (!open.has(key)) open.set(key, { ...one, spans: [[at, Infinity]], isCut: false, until: '' });
  };
  /** Recorded again: the lift took no effect. */
  const isLockedAfter = (lift: Line): boolean =>
    journal.some(
      (line) =>
        line['lock'] === lift['lock'] &&
        ['locked', 'held'].includes(text(line, 'action')) &&
        seqOf(line) > seqOf(lift),
    );
  let [stopped, before] = ['', ''];
  const times = new Map(journal.map((line) => [seqOf(line), text(line, 'time')]));
  for (const line of journal) {
    // A copy for who begins to read there.
    if (line['carried'] === true) continue;
    const [time, backend, error, seq] = [
      text(line, 'time'),
      text(line, 'backend'),
      text(line, 'error'),
      seqOf(line),
    ];
    const began = new Date(Date.parse(time) - Number(line['duration_ms'] ?? 0)).toISOString();
    const action = text(line, 'action');
    switch (line['event']) {
      case 'backend': {
        const key = `down ${backend}`;
        if (action === 'down') {
          const known = cut.get(key);
          if (known !== undefined && text(line, 'reason') === 'not up since the start') {
            cut.delete(key);
            known.spans.push([seq, Infinity]);
            open.set(key, known);
          }
          const is = (told: Told): boolean => told.backend === backend && isHit(told);
          begin(key, { kind: 'down', backend, since: time, is }, seq);
        } else if (action === 'up') close(key, time, seq);
        break;
      }
      case 'journal': {
        const kind = error === 'audit-reserve' ? 'reserve' : 'blind';
        // What it has cost so far may be the first that is said of it.
        const since = action === 'down' ? time : action === 'up' ? began : '';
        begin(kind, { kind, backend: '', since, is: (told) => told.error === error }, seq);
        if (action === 'up') close(kind, time, seq);
        break;
      }
      case 'lock': {
        const id = text(line, 'lock');
        const kind = action === 'held' ? 'held' : 'locked';
        if (action === 'locked' || action === 'held')
          begin(
            `lock ${id}`,
            {
              kind,
              backend: '',
              since: text(line, 'at') || time,
              by: text(line, 'by'),
              lock: id,
              is: (told) => told.lock === id,
            },
            seq,
          );
        else if ((action === 'unlocked' || action === 'expired') && !isLockedAfter(line))
          close(`lock ${id}`, time, seq);
        break;
      }
      case 'operator':
        if (action === 'reload' && line['outcome'] !== undefined) {
          const kind = line['outcome'] === 'ok' ? 'reloaded' : 'not reloaded';
          events.push({ ...none, kind, since: time, until: time, by: text(line, 'by') });
        }
        if (line['outcome'] !== 'ok') break;
        if (action === 'drain') {
          const is = (told: Told): boolean => told.backend === backend && told.error === 'backend-drained';
          // It was back in between: what is out of service is not taken out again.
          open.delete(`drain ${backend}`);
          begin(`drain ${backend}`, { kind: 'drained', backend, since: time, by: text(line, 'by'), is }, seq);
        } else if (action === 'enable') close(`drain ${backend}`, time, seq);
        else if (action === 'kill') {
          const killed = { by: text(line, 'by'), left: [text(line, 'id')] };
          events.push({ ...none, kind: 'killed', since: began, until: time, ...killed });
        }
        break;
      case 'stop':
        stopped = time;
        break;
      case 'start': {
        const last = Number(line['last_seq']);
        if (line['last_seq'] !== undefined) {
          const isCrash = stopped === '';
          before = times.get(last) ?? '';
          const left = commands.filter((told) => told.endSeq > last && told.endSeq < seq).map(({ id }) => id);
          events.push({
            ...none,
            kind: 'restarted',
            since: stopped || before,
            until: time,
            isCrash,
            left: isCrash ? left : undefined,
          });
          events.push(...[...cut.values()].map((one) => made(one, one.until)));
          cut = new Map();
          for (const [key, one] of open) {
            if (key.startsWith('lock ')) continue;
            one.isCut ||= isCrash;
            one.spans.at(-1)?.splice(1, 1, last + 1);
            if (one.kind === 'drained') one.spans.push([seq, Infinity]);
            else if (one.kind === 'down') {
              cut.set(key, one);
              one.until = time;
              open.delete(key);
            } else {
              open.delete(key);
              events.push(made(one, time));
            }
          }
        }
        stopped = '';
        break;
      }
      default:
    }
  }
  events.push(...[...cut.values()].map((one) => made(one, one.until)));
  events.push(...[...open.values()].map((one) => made(one, '')));
  const from = new Date(nowMs - 86_400_000).toISOString();
  const blind = events.filter(({ kind }) => kind === 'blind');
  const isUnseen = (event: Event): boolean =>
    event.since === '' ||
    blind.some((each) => (each.until || '~') >= event.since && each.since <= (event.until || '~'));
  return events
    .filter(({ until }) => until === '' || until >= from)
    .map((event) => ({ ...event, isUnseen: isUnseen(event) }));
}

/** Each start and reload that changed the policies: commands under them, and those that the policies before would have denied. */
export function periodsOf(journal: readonly Line[], directory: string): readonly Period[] {
  const stored = (hash: string): string => readFileSync(join(directory, 'policies', `${hash}.yaml`), 'utf8');
  const versionIn = (list: string, policy: string): string =>
    JSON.parse(stored(list)).policies[policy].version;
  const policiesIn = (list: string): readonly Rules[] =>
    Object.entries(Object(JSON.parse(stored(list)).policies)).map(([policy, of]) =>
      rulesIn(stored(text(Object(of), 'version')), policy),
    );
  const turns = journal
    .filter(
      (line) => (line['event'] === 'start' || line['event'] === 'reload') && line['policies'] !== undefined,
    )
    .filter((line) => line['was'] !== line['policies']);
  return turns.map((line, at): Period => {
    const [from, to] = [seqOf(line), seqOf(turns[at + 1] ?? { seq: Infinity })];
    const own = commandsOf(journal).filter(({ seq, version }) => version !== '' && seq >= from && seq < to);
    const was = text(line, 'was');
    // What policy refused for another reason uses nothing new; what came in the way later is no policy.
    const changed = own.filter(
      (told) =>
        was !== '' &&
        told.isAllowed &&
        !['denied', 'limited'].includes(told.outcome) &&
        told.countedFor === '' &&
        !told.command.startsWith('dovegate ') &&
        versionIn(was, told.policy) !== told.version,
    );
    const isAllowed = (told: Told): boolean =>
      isAllowedBy(rulesIn(stored(versionIn(was, told.policy)), told.policy), told);
    return {
      seq: from,
      commands: own.length,
      deniedBefore: changed.filter((told) => !isAllowed(told)).length,
      redacted: changed.filter((told) => told.isRedacted && isAllowed(told)).length,
      isWider: was === '' || isWider(policiesIn(was), policiesIn(text(line, 'policies'))),
    };
  });
}

/** Of a policy of the simple kind: names of commands, `*@domain`, no condition. */
interface Rules {
  readonly users: readonly string[];
  readonly except: readonly string[];
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly asked: readonly string[];
}

function rulesIn(policyText: string, policy: string): Rules {
  const { users, except, allow, deny, on_request: asked } = parse(policyText).policies[policy];
  const names = (rules: unknown): string[] =>
    (Array.isArray(rules) ? rules : []).map((rule) =>
      typeof rule === 'string' ? rule : String(rule.command),
    );
  return { users, except: except ?? [], allow: names(allow), deny: names(deny), asked: names(asked) };
}

/** Rule by rule: one more of what allows, or one less of what denies. */
function isWider(before: readonly Rules[], after: readonly Rules[]): boolean {
  return after.some((now, at) => {
    const was = before[at];
    const isMore = (of: 'users' | 'allow' | 'asked'): boolean =>
      now[of].some((each) => !was?.[of].includes(each));
    const isLess = (of: 'except' | 'deny'): boolean =>
      was?.[of].some((each) => !now[of].includes(each)) === true;
    return isMore('users') || isMore('allow') || isMore('asked') || isLess('except') || isLess('deny');
  });
}

function isAllowedBy({ users: covers, except, allow, deny, asked }: Rules, told: Told): boolean {
  const { command, users, grant } = told;
  const isIn = (masks: readonly string[], user: string): boolean =>
    masks.some((mask) => (mask.startsWith('*') ? user.endsWith(mask.slice(1)) : user === mask));
  if (users.includes('*') && except.length > 0) return false;
  if (users.some((user) => !isIn(covers, user) || isIn(except, user))) return false;
  if (deny.includes(command)) return false;
  return allow.includes(command) || (grant !== '' && asked.includes(command));
}

/** What policies are suggested by: commands by name and decision, with those who asked; without what the backend could not do. */
export function learnedOf(
  commands: readonly Told[],
): readonly (readonly [string, number, readonly string[]])[] {
  const kinds = new Map<string, Told[]>();
  for (const told of commands) {
    const { command, isRead, isAllowed, outcome, error, countedFor } = told;
    if (!isRead || command === '' || command.startsWith('dovegate ')) continue;
    if (countedFor !== '' || error === 'backend-failed') continue;
    const key = `${command} ${isAllowed && outcome !== 'denied' ? 'allow' : 'deny'}`;
    kinds.set(key, [...(kinds.get(key) ?? []), told]);
  }
  return [...kinds].map(([key, own]) => [
    key,
    own.length,
    [...new Set(own.map(({ principal }) => principal))].toSorted(),
  ]);
}

/** Of a mailbox: the numbers of a report. */
export function reportOf(all: readonly Told[], mailbox: string): Readonly<Record<string, number>> {
  const own = all.filter(({ users }) => users.includes(mailbox) || users.includes('*'));
  const counted = own.filter(({ countedFor }) => countedFor !== '');
  const asked = own.filter(({ countedFor }) => countedFor === '');
  const count = (is: (told: Told) => boolean): number => asked.filter(is).length;
  const isDenied = (told: Told): boolean =>
    told.sent === 'no' && (told.became === 'denied' || !told.isAllowed) && told.outcome !== 'unparsable';
  const isDeletion = ({ effect }: Told): boolean => effect === 'destroy';
  const reached = asked.filter(({ sent }) => sent !== 'no');
  return {
    commands: reached.length,
    requesters: new Set(reached.map(({ principal }) => principal)).size,
    not_reached: count(({ sent }) => sent === 'no'),
    denied: count(isDenied),
    not_named: reached.filter(({ users }) => !users.includes(mailbox)).length,
    open: reached.filter(({ outcome }) => outcome === 'open').length,
    unknown: reached.filter(({ outcome }) => outcome === 'unknown').length,
    counted: counted.length,
    deleted: count((told) => isDeletion(told) && told.sent === 'yes' && told.outcome === 'ok'),
    delete_denied: count((told) => isDeletion(told) && isDenied(told)),
  };
}
