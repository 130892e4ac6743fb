// Goal: of random histories, what incidents, `audit` (search, report, policies) and metrics say is what the raw journal says. What must not
// happen: a number, a time or a kind that differs from the oracle's.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRows } from '../../../src/evidence/cli/journal-rows.js';
import { Sightings } from '../../../src/evidence/review/sightings.js';
import type { Incident } from '../../../src/evidence/story/incidents.js';
import { openIncidents } from '../../kit/gate/page-incidents.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type WrittenHistory, writeHistory } from '../../kit/gate/written-history.js';
import { seededRandom } from '../../kit/plain/chunkings.js';
import { openFolder } from '../../kit/plain/folder.js';
import {
  type Asked,
  commandsOf,
  type Event,
  eventsOf,
  learnedOf,
  onlyCounted,
  periodsOf,
  presentOf,
  readJournal,
  reportOf,
  runsOf,
  type Told,
  troubleOf,
} from '../../kit/plain/history.js';

const rounds = 8 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const firstSeed = Number(process.env['DOVEGATE_SEED'] ?? 1);
const mailboxes = ['alice@example.org', 'bob@other.org', 'boss@example.org'];

void test('random histories: what is told is what the raw journal says', async (t) => {
  const folder = openFolder(t);
  const differing: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + rounds; seed += 1) {
    const history = await writeHistory(join(folder, `j${seed}`), seededRandom(seed));
    const journal = readJournal(history.directory);
    const told = commandsOf(journal);
    const steps: readonly (() => Promise<void> | void)[] = [
      () => compareIncidents(history, eventsOf(journal, told, history.endMs)),
      () => compareNow(history, journal, told),
      () => compareLearned(history, told),
      () => compareMetrics(history, told, runsOf(journal)),
      () => compareSearch(history, told, (asked) => onlyCounted(journal, asked)),
      () => compareReports(history, told, (asked) => onlyCounted(journal, asked)),
      () => comparePolicies(history, periodsOf(journal, history.directory)),
    ];
    for (const step of steps)
      try {
        await step();
      } catch (fault) {
        differing.push(`DOVEGATE_SEED=${seed}: ${fault instanceof Error ? fault.message : String(fault)}`);
      }
  }
  assert.deepEqual(differing, []);
});

const sorted = (rows: readonly unknown[]): readonly string[] =>
  rows.map((row) => JSON.stringify(row)).toSorted();

async function compareIncidents(
  { directory, endMs }: WrittenHistory,
  events: readonly Event[],
): Promise<void> {
  const incidents = openIncidents(directory, endMs);
  const { rows, trouble } = await incidents.ask();
  incidents.close();
  assert.equal(trouble, undefined);
  const named = (
    kind: string,
    of: Readonly<Record<'backend' | 'since' | 'until' | 'by' | 'lock', string>>,
  ) => [kind, of.backend, of.since, of.until, of.by, of.lock];
  const none = { backend: '', since: '', until: '', by: '', lock: '' };
  assert.deepEqual(
    sorted(
      rows.map((row) => [
        ...named(row.kind, { ...none, ...row }),
        row.isLost === true,
        row.left?.map(({ id }) => id),
      ]),
    ),
    sorted(
      events.map((event) => [
        ...named(event.kind, event),
        event.isCrash || event.isCut,
        event.left?.slice(0, 10),
      ]),
    ),
    'incidents',
  );
  for (const row of rows) {
    const event = events.find(
      (each) => sorted([named(each.kind, each)])[0] === sorted([named(row.kind, { ...none, ...row })])[0],
    );
    if (event?.cost !== undefined) compareCost(row, event.cost, event);
  }
}

/** Exact where it is over and no crash took a part of it; else at least the half. */
function compareCost(
  { text, until, hit = [] }: Incident,
  [count, requesters]: readonly [number, number],
  { isCut, isUnseen, hit: counts }: Pick<Event, 'isCut' | 'isUnseen' | 'hit'>,
): void {
  const [, isLeast, said = '0', by = '0'] =
    / (At least )?([\d,]+) commands? of (?:at least )?(\d+) requesters? /.exec(text) ?? [];
  const isExact = until !== undefined && !isCut;
  assert.ok(!isExact || isLeast === undefined, text);
  const [told, tellers] = [Number(said.replaceAll(',', '')), Number(by)];
  if (isUnseen) return;
  if (isExact) assert.deepEqual([told, sorted(hit)], [count, sorted(counts)], text);
  else assert.ok(told <= count && told * 2 > count - 1, `${count}: ${text}`);
  assert.ok(tellers <= requesters && (told === 0 || tellers > 0), `${requesters}: ${text}`);
}

/** Problems, refusals and failures, and the figures of the last ten minutes. */
function compareNow(
  { now }: WrittenHistory,
  journal: ReturnType<typeof readJournal>,
  told: readonly Told[],
): void {
  // What the journal did not take was counted, too.
  if (runsOf(journal).at(-1)?.[2] === true) return;
  const backends = ['mail1', 'mail2'];
  const present = presentOf(journal, told, backends, now.at);
  const rows = now.head.problems.map(({ code, text, backend, key }) => {
    const [, time = ''] = /\buntil \{(.*?)\}/.exec(text) ?? /\bsince \{(.*?)\}/.exec(text) ?? [];
    const [, cost = '0'] = /(\d[\d,]*) commands? failed/.exec(text) ?? [];
    return [code, backend ?? key.slice(code.length + 1), time, Number(cost.replaceAll(',', ''))];
  });
  // A reload opens the memory engine again, and its locks with what was left of them at the start.
  const last = journal.findLast(({ event }) => event === 'start' || event === 'reload');
  const isReloaded = last?.['event'] === 'reload';
  const shownOf = (all: readonly (readonly unknown[])[]): readonly unknown[] =>
    isReloaded
      ? all.map(([code, about, time, cost]) => [
          code,
          about,
          code === 'locked' || code === 'held' || time,
          cost,
        ])
      : all;
  assert.deepEqual(sorted(shownOf(rows)), sorted(shownOf(present.problems)), 'now: problems');

  const groups = new Map<string, typeof now.troubles>();
  for (const row of now.troubles) {
    const key = troubleOf(row.kind, row.principal, row.command ?? '', row.backend ?? '', row.owner ?? '');
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  const uncounted = new Map<string, number>();
  const shown: unknown[] = [];
  for (const [key, of] of groups) {
    const sums = of.map(({ count = 1, recorded = count }) => [recorded, count - recorded] as const);
    const recorded = sums.reduce((sum, [each]) => sum + each, 0);
    const left = sums.reduce((sum, [, each]) => sum + each, 0);
    const [who = ''] = of.map(({ principal }) => principal);
    if (left > 0) uncounted.set(who, (uncounted.get(who) ?? 0) + left);
    const since = of.map((row) => row.since ?? row.at).toSorted()[0];
    const until = of
      .map(({ at }) => at)
      .toSorted()
      .at(-1);
    shown.push([key, recorded, left > 0 || since, left > 0 || until]);
    const { ids = [] } = present.troubles.get(key) ?? {};
    for (const { id } of of) assert.ok(id === undefined || ids.includes(id), `now: ${id} of ${key}`);
  }
  // Of more kinds the oldest are not shown.
  if (now.troubles.length === 60) return;
  const expected = [...present.troubles].map(([key, { ids, since, until }]) => {
    const isLeft = (groups.get(key) ?? []).some(({ count = 1, recorded = count }) => recorded < count);
    return [key, ids.length, isLeft || since, isLeft || until];
  });
  assert.deepEqual(sorted(shown), sorted(expected), 'now: troubles');
  assert.deepEqual(sorted([...uncounted]), sorted([...present.uncounted]), 'now: only counted');
  for (const kind of ['failed', 'denied'] as const) {
    const [least, most] = present[kind];
    const figure = now.tiles[kind];
    assert.ok(least <= figure && figure <= most, `now: ${kind} ${figure}, of ${least} to ${most}`);
  }
}

async function compareLearned({ directory }: WrittenHistory, told: readonly Told[]): Promise<void> {
  const sightings = new Sightings({ policy: 'support' });
  await readRows(directory, (row) => sightings.take(row));
  const kinds = new Map<string, [count: number, principals: Set<string>]>();
  for (const { line, count, principals } of sightings.lines) {
    const key = `${line.words[0] ?? ''} ${line.decision}`;
    const [before, known] = kinds.get(key) ?? [0, new Set<string>()];
    kinds.set(key, [before + count, new Set([...known, ...principals])]);
  }
  const rows = [...kinds].map(([key, [count, principals]]) => [key, count, [...principals].toSorted()]);
  assert.deepEqual(sorted(rows), sorted(learnedOf(told)), 'suggest');
}

function compareMetrics(
  { counted }: WrittenHistory,
  told: readonly Told[],
  runs: ReturnType<typeof runsOf>,
): void {
  assert.equal(counted.length, runs.length);
  for (const [at, [from, to, isBlind]] of runs.entries()) {
    const own = told.filter(({ seq, endSeq }) => seq > from && endSeq <= to);
    const [timed, ended] = [new Map<string, number>(), new Map<string, number>()];
    const add = (map: Map<string, number>, key: string, count = 1): void =>
      void map.set(key, (map.get(key) ?? 0) + count);
    const { bounds = [] } = counted[at] ?? {};
    for (const { backend, sent, outcome, fault, tookMs } of own) {
      if (backend === '') continue;
      const bucket = [...bounds, Infinity].findIndex((most) => tookMs / 1000 <= most);
      if (sent === 'yes') add(timed, `${backend} ${bucket}`);
      if (sent === 'yes' || fault === 'server') add(ended, `${backend} ${outcome} ${fault || '-'}`);
    }
    const [timedThere, endedThere] = [new Map<string, number>(), new Map<string, number>()];
    counted[at]?.eachOfDurations((_, backend, counts) =>
      counts.forEach((count, bucket) => count > 0 && add(timedThere, `${backend} ${bucket}`, count)),
    );
    counted[at]?.eachOfBackends((backend, outcome, owner, count) =>
      add(endedThere, `${backend} ${outcome} ${owner}`, count),
    );
    // Ends that the journal did not take are counted all the same.
    for (const [there, of, what] of [
      [timedThere, timed, 'times of commands that were sent'],
      [endedThere, ended, 'commands of backends'],
    ] as const)
      if (isBlind)
        for (const [key, count] of of)
          assert.ok((there.get(key) ?? 0) >= count, `run ${at}: ${what}: ${key}`);
      else assert.deepEqual(sorted([...there]), sorted([...of]), `run ${at}: ${what}`);
  }
}

async function audit(
  words: readonly string[],
  exits: readonly number[] = [0],
): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[]; readonly said: string }> {
  const { text, stdout, stderr, exit } = await runWarm(['audit', ...words, '--json']);
  assert.ok(exits.includes(exit ?? -1), text);
  const lines = stdout.toString().split('\n').filter(Boolean);
  return { rows: lines.map((line) => JSON.parse(line)), said: stderr };
}

type Counts = (asked: Asked) => readonly number[];

/** Refusals, and what else was not sent, that are only counted; and what may match of it. */
function countsIn(said: string): readonly number[] {
  return [
    /(\d[\d,]*) more refusal/,
    /(\d[\d,]*) more commands? that w(?:as|ere) not sent/,
    /(\d[\d,]*) more that w(?:as|ere) refused or not sent/,
  ].map((form) => numberAt(said, form));
}

function numberAt(said: string, form: RegExp): number {
  return Number((form.exec(said)?.[1] ?? '0').replaceAll(',', ''));
}

async function compareSearch(
  { directory }: WrittenHistory,
  told: readonly Told[],
  counts: Counts,
): Promise<void> {
  const own = told.filter(({ countedFor }) => countedFor === '');
  const { from, to, isWithin } = windowOf(told);
  const searches: readonly (readonly [
    words: readonly string[],
    is: (each: Told) => boolean,
    asked: Asked,
  ])[] = [
    [[], () => true, {}],
    ...(['bob', 'anna'] as const).map(
      (name) =>
        [
          ['--principal', name],
          ({ principal }: Told) => principal === `${name}@support`,
          { principal: `${name}@support` },
        ] as const,
    ),
    ...(['ok', 'denied', 'failed', 'unknown'] as const).map(
      (word) =>
        [
          ['--outcome', word],
          ({ became, outcome }: Told) => (word === 'ok' ? outcome === 'ok' : became === word),
          { became: word },
        ] as const,
    ),
    ...mailboxes
      .slice(0, 1)
      .map(
        (user) =>
          [
            ['--user', user],
            ({ users }: Told) => users.includes(user) || users.includes('*'),
            { user },
          ] as const,
      ),
    ...(from < to ? [[['--since', from, '--until', to], isWithin, { from, to }] as const] : []),
    ...[...new Set(own.map(({ lock }) => lock))]
      .filter(Boolean)
      .slice(0, 2)
      .map(
        (id) =>
          [
            ['--text', id, '--outcome', 'denied'],
            ({ lock }: Told) => lock === id,
            { became: 'denied', isOfLock: true },
          ] as const,
      ),
  ];
  for (const [words, is, asked] of searches) {
    const { rows, said } = await audit(['search', directory, ...words]);
    const found = own.filter(is);
    const what = `audit search ${words.join(' ')}: ${said}`;
    assert.deepEqual(countsIn(said), counts(asked), what);
    assert.deepEqual(
      sorted(
        rows
          .filter(({ event }) => event !== 'limit')
          .map(({ id, outcome = 'open', sent }) => [id, outcome, sent === true]),
      ),
      sorted(found.map(({ id, outcome, sent }) => [id, outcome, sent === 'yes'])),
      what,
    );
    if (asked.user === undefined || !found.some(({ users }) => users.includes(asked.user ?? ''))) continue;
    const others = found.filter(({ users }) => !users.includes(asked.user ?? ''));
    const reached = others.filter(({ sent }) => sent !== 'no');
    assert.deepEqual(
      [numberAt(said, /(\d[\d,]*) may have touched/), numberAt(said, /(\d[\d,]*) may be about/)],
      [reached.length, others.length - reached.length],
      what,
    );
  }
}

/** The middle third of the commands. */
function windowOf(told: readonly Told[]) {
  const [from = '', to = ''] = [1, 2].map((third) => told[Math.floor((told.length * third) / 3)]?.time);
  return { from, to, isWithin: ({ time }: Told): boolean => time >= from && time < to };
}

async function compareReports(
  { directory }: WrittenHistory,
  told: readonly Told[],
  counts: Counts,
): Promise<void> {
  const { from, to, isWithin } = windowOf(told);
  for (const [at, mailbox] of mailboxes.entries()) {
    const isPart = at === 0 && from < to;
    const window = isPart ? ['--from', from, '--to', to] : [];
    const {
      rows: [head],
    } = await audit(['report', directory, '--mailbox', mailbox, ...window], [0, 1]);
    const expected = reportOf(isPart ? told.filter(isWithin) : told, mailbox);
    const verdict = Object(head?.['verdict']);
    const said = Object.fromEntries(Object.keys(expected).map((key) => [key, verdict[key]]));
    assert.deepEqual(said, expected, `audit report --mailbox ${mailbox}`);
    const doubts: readonly { code: string; text: string }[] = verdict.doubts;
    const only = doubts.find(({ code }) => code === 'only-counted')?.text ?? '';
    assert.deepEqual(
      countsIn(only),
      counts({ user: mailbox, ...(isPart && { from, to }) }),
      `audit report --mailbox ${mailbox}: ${only}`,
    );
  }
}

async function comparePolicies(
  { directory }: WrittenHistory,
  periods: ReturnType<typeof periodsOf>,
): Promise<void> {
  const { rows } = await audit(['policies', directory]);
  assert.deepEqual(
    rows.map((row) => [
      row['seq'],
      row['commands'],
      row['denied'],
      row['unjudged'],
      row['redacted'],
      isWider(row),
    ]),
    periods.map((each) => [each.seq, each.commands, each.deniedBefore, 0, each.redacted, each.isWider]),
    'audit policies',
  );
}

function isWider({ changes }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(changes) && changes.some(({ sign }) => sign === '+');
}
