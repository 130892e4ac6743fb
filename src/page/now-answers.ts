// What `/api/now` and `/api/backends.csv` show, and to whom. A mail user's name is only in what an `audit` view covers. A person with a
// limited view and no other role sees no exchange and no name: only one user of a command is known here, and the command may touch others.
// Sentences are made of codes and names of the configuration, never of what a client or a backend said.

import { changedWords, hitWords, type Incident } from '../evidence/story/incidents.js';
import { formatCell } from '../evidence/trail/export.js';
import { createCover } from '../evidence/views/view.js';
import type { MadeNow } from '../gate/door/door.js';
import type { FoundCode } from '../gate/now/found-codes.js';
import type { BackendNow, Now } from '../gate/now/now.js';
import { drainWords } from '../gate/now/operator.js';
import { isAmong } from './browser-answers.js';
import type { Daemon } from './daemon.js';
import { type PageCaller, type PageHandlers, Refusal } from './http/page-request.js';
import type { NowStream, Sight } from './now-stream.js';
import type { Wider } from './wider.js';

/** Streams at once, and of one person. A person's first stream is never refused in favor of another person's second one. */
const watchersMax = 20;
const watchersEachMax = 4;

export function createNowHandlers(
  daemon: Pick<Daemon, 'states'>,
  stream: NowStream,
  wider: Wider,
): Pick<PageHandlers, 'now' | 'backends-csv'> {
  const byPerson = new Map<string, number>();

  return {
    now({ who, signal, isStill }) {
      const own = byPerson.get(who.name) ?? 0;
      if (own >= watchersEachMax) throw new Refusal(503, tooManyOwn);
      if (own > 0 && stream.watchers >= watchersMax) throw new Refusal(503, tooMany);
      byPerson.set(who.name, own + 1);
      const pieces = stream.watch(sightOf(who, wider), signal, isStill, () => {
        const left = (byPerson.get(who.name) ?? 1) - 1;
        if (left === 0) byPerson.delete(who.name);
        else byPerson.set(who.name, left);
      });
      return { status: 200, type: 'text/event-stream; charset=utf-8', pieces };
    },
    async 'backends-csv'({ who, signal }) {
      for await (const { now } of daemon.states(signal)) {
        const backends = seesOwnOnly(who) ? now.backends.map(withoutPeople) : now.backends;
        return { status: 200, type: 'text/csv; charset=utf-8', body: formatBackends(backends) };
      }
      throw new Refusal(503, 'given up');
    },
  };
}

const tooMany = `${watchersMax} windows watch already; close one of them, or use dovegate status --watch`;
const tooManyOwn = `you watch in ${watchersEachMax} windows already; close one of them`;

function sightOf(who: PageCaller, wider: Wider): Sight {
  const isAuditor = who.roles.includes('audit');
  const withWider = (now: Now): Now => {
    const { head } = now;
    if (!who.roles.includes('operate')) return now;
    const problems = [...head.problems, ...wider(head, isAuditor && who.users === undefined)];
    return { ...now, head: { ...head, problems } };
  };
  if (!isAuditor) return ({ now }) => withWider(now);
  if (seesOwnOnly(who)) return ({ now }) => narrow(now);
  const isShown = isShownTo(who);
  return ({ now, runningUsers, troubleUsers, namedProblems }) => ({
    ...withWider({
      ...now,
      head: { ...now.head, problems: withNames(now.head.problems, namedProblems, isShown) },
    }),
    running: withUsers(now.running, runningUsers, isShown),
    troubles: withUsers(now.troubles, troubleUsers, isShown),
  });
}

/** Whether the `audit` view of a person covers a mail user. */
function isShownTo({ roles, users }: Pick<PageCaller, 'roles' | 'users'>): (user: string) => boolean {
  if (!roles.includes('audit')) return () => false;
  const covers = users === undefined ? () => true : createCover(users);
  return (user) => user !== '' && covers({ user, users: [user], args: [] });
}

function withNames(
  problems: Now['head']['problems'],
  named: MadeNow['namedProblems'],
  isShown: (user: string) => boolean,
): Now['head']['problems'] {
  const texts = new Map(named.flatMap(({ key, user, text }) => (isShown(user) ? [[key, text]] : [])));
  return problems.map((problem) => ({ ...problem, text: texts.get(problem.key) ?? problem.text }));
}

function withUsers<Row>(
  rows: readonly Row[],
  users: readonly string[],
  isShown: (user: string) => boolean,
): readonly Row[] {
  return rows.map((row, at) => {
    const user = users[at] ?? '';
    return isShown(user) ? { ...row, user } : row;
  });
}

/** Whether a person has a limited view as auditor, and no role that sees all commands. */
export function seesOwnOnly({ roles, users }: Pick<PageCaller, 'roles' | 'users'>): boolean {
  return users !== undefined && !isAmong(roles, ['view', 'operate']);
}

/** Numbers and backends, without exchanges and names of people and programs. */
function narrow(now: Now): Now {
  const problems = now.head.problems
    .filter(({ code }) => ofRecords.has(code))
    .map((problem) => ({ ...problem, acknowledged: undefined }));
  return {
    ...now,
    head: { ...now.head, problems, loaded: { since: now.head.loaded.since } },
    running: [],
    troubles: [],
    backends: now.backends.map(withoutPeople),
  };
}

/** Problems with records: the only ones shown in a limited view. Their sentences hold no names of people. */
const ofRecords: ReadonlySet<string> = new Set<FoundCode>([
  'audit-failed',
  'audit-missing',
  'audit-reserve',
  'audit-unsynced',
  'audit-lost',
  'audit-damaged',
  'journal-appended',
]);

/** An incident as this person may see it: no locks in a limited view, and the text about a mail user only if the view covers that user. */
export function shownIncident(row: Incident, who: Pick<PageCaller, 'roles' | 'users'>): readonly Incident[] {
  if (seesOwnOnly(who)) return row.lock === undefined ? [narrowIncident(row)] : [];
  const { named, widens, ...others } = row;
  // `widens` names mail users of any domain.
  const isWhole = who.roles.includes('audit') && who.users === undefined;
  const shown = { ...others, ...(isWhole && widens !== undefined && { widens }) };
  if (named === undefined || !isShownTo(who)(named.user)) return [shown];
  return [{ ...shown, text: named.text }];
}

/** An incident without the name of the operator and why, without words and names of files, and without commands and their requesters. */
export function narrowIncident(row: Incident): Incident {
  const { by, reason, files, hit, left: _, widens: _widens, ...others } = row;
  const shown = { ...others, text: others.text.replace(changedWords(files), '').replace(hitWords(hit), '') };
  if (by === undefined) return { ...shown, text: shown.text.replace(` (${reason})`, '') };
  const said = row.kind === 'not reloaded' ? { by } : { by, reason };
  // Without a reason, the first colon belongs to the sentence.
  const told = reason === undefined || reason === '' ? shown.text : shown.text.replace(`: ${reason}`, '');
  const text = told.replace(drainWords(said), () => 'by an operator');
  return { ...shown, by: 'an operator', text };
}

/** Removes the name of the operator who took the backend out of service, and why. */
function withoutPeople(backend: BackendNow): BackendNow {
  const drained = backend.drained.map(({ by, since }) =>
    by === undefined ? {} : { by: 'an operator', since },
  );
  return { ...backend, drained };
}

const steps = ['dial', 'tls', 'greeting', 'authentication', 'reply'] as const;

/** The backends as CSV (RFC 4180), safe in a spreadsheet; a line each, after one with the names of the columns. */
export function formatBackends(backends: readonly BackendNow[]): string {
  const columns: readonly (readonly [name: string, cell: (backend: BackendNow) => unknown])[] = [
    ['backend', ({ name }) => name],
    ['address', ({ address }) => address],
    ['series', ({ series }) => series],
    ['status', ({ isUp, health }) => (health === 'drained' ? health : isUp ? 'up' : 'down')],
    ['health', ({ health }) => health],
    ['since', ({ since }) => since],
    ['error', ({ text }) => text],
    ['connections_max', ({ connections }) => connections],
    ['dialing', ({ dialing }) => dialing],
    ['idle', ({ idle }) => idle],
    ['leased', ({ leased }) => leased],
    ['waiting', ({ waiting }) => waiting],
    ['oldest_wait_ms', ({ oldestWaitMs }) => oldestWaitMs],
    ...steps.map((step) => [`failed_${step}`, ({ failed }: BackendNow) => failed[step] ?? 0] as const),
    ['failed_since', ({ countedSince }) => countedSince],
    ['certificate_ends', ({ certificateEnds }) => certificateEnds],
    ['drained_by', ({ drained }) => drained.map(({ by = 'configuration' }) => by).join('; ')],
  ];
  const lines = [
    columns.map(([name]) => name),
    ...backends.map((backend) => columns.map(([, cell]) => formatCell(cell(backend)))),
  ];
  return lines.map((cells) => `${cells.join(',')}\r\n`).join('');
}
