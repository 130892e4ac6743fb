// Goal: a site of seven jobs moves in, and knows before each step what it will change. Phases, on each Dovecot: half of the work while the
// policies observe, beside a twin that is asked directly; suggest; the other half with the suggestions as candidates; the same half at a
// gate that enforces them, and at one that observes their rules. What must not happen: a refusal while observing that the guide does not
// list; a row that differs; daily reads that the suggestion denies; a relative of what was seen that it allows; one line of which daemon,
// explain, observe, shadow and replay say different things.
//
// DOVEGATE_ROUNDS multiplies the 400 lines (50: 20,000); DOVEGATE_SEED repeats a run; DOVEGATE_RELEASES="native trixie" says which
// Dovecots.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { recordedLine } from '../../../src/evidence/review/recorded.js';
import { createReplay, type ReplayResult } from '../../../src/evidence/review/replay.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { asObject } from '../../../src/host/values/values.js';
import { numberIn, textIn } from '../../../src/journal/records/stored.js';
import { type Explained, explainLine } from '../../../src/rules/answers/explanation.js';
import { openSettings } from '../../../src/rules/cli/named-listener.js';
import { routingTableOf, type Settings } from '../../../src/rules/config/settings.js';
import { originOfRecord } from '../../../src/rules/identity/origin.js';
import { plainLine } from '../../../src/rules/policy/assess.js';
import { beyondObserving } from '../../../src/rules/policy/decide.js';
import { type Count, withMatches } from '../../../src/rules/policy/outcome.js';
import { Limiter } from '../../../src/rules/policy/terms.js';
import { mayWiden } from '../../../src/rules/proposals/generalise.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openRawClient, type RawClient, type RawReply } from '../../kit/plain/raw-client.js';
import { projectRoot } from '../../kit/plain/root.js';
import { labTestMs, onDovecot } from './real-gateway.js';
import { jobs, type Lane, type Line, lanes, relativesOf, siteLines } from './site.js';
import { doneIn, openSiteGate, type SiteGate, withRows } from './site-gate.js';
import { observing, together, watching, withTerms, written } from './site-policies.js';
import { openSite, type Site } from './site-world.js';

const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const seed = Number(process.env['DOVEGATE_SEED'] ?? 61);
const count = 2 * Math.ceil(200 * rounds);
const relativesCount = 1000;

onDovecot(
  `a site moves in with ${count} lines (seed ${seed})`,
  openSite,
  async (t, site) => {
    const startMs = performance.now();
    const tell = (what: string): void => {
      t.diagnostic(`${((performance.now() - startMs) / 1000).toFixed(0)} s: ${what}`);
    };
    const lines = siteLines(count, seed);
    const [first, second] = [lines.slice(0, count / 2), lines.slice(count / 2)];

    const gate = await openSiteGate(t, site, site.labs[0], observing());
    const twin = openTwin(t, site);
    const early = openSettings(gate.daemon.configFile);
    const servedFirst = await beside(site, gate, twin, first);
    const firstList = await gate.rows(first.length);
    const firstRows = withRows(first, firstList);
    assertListed(firstRows, servedFirst);
    tell('the first half is observed');

    const suggestions = new Map<string, string>();
    for (const job of jobs) {
      const asked = ['suggest', '--config', gate.daemon.configFile, '--policy', job];
      const { exit, stdout, text } = await runWarm(asked);
      assert.equal(exit, 0, text);
      suggestions.set(job, stdout.toString());
    }
    const suggested = together(suggestions);
    gate.daemon.write('suggested.yaml', suggested);
    const terms = withTerms(suggestions, second);
    for (const [job, policy] of terms) gate.daemon.write(`${job}-next.yaml`, written([[job, policy]]));
    const next = written(terms);
    await gate.daemon.reload(gate.configuration(observing((job) => `${job}-next.yaml`)));
    tell('suggested');

    const servedSecond = await beside(site, gate, twin, second);
    const secondList = await gate.rows(second.length, first.length);
    const secondRows = withRows(second, secondList);
    assertListed(secondRows, servedSecond);
    tell('the second half is observed, with candidates');

    const [enforcing, watched] = await Promise.all([
      openSiteGate(t, site, site.labs[0], next),
      openSiteGate(t, site, site.labs[1], watching(terms)),
    ]);
    await Promise.all(
      [enforcing, watched].map((each) => inOrder(second, async (line) => void (await each.ask(line)))),
    );
    const [enforcedList, watchedList] = [
      await enforcing.rows(second.length),
      await watched.rows(second.length),
    ];
    tell('the second half is enforced');

    const settings = openSettings(enforcing.daemon.configFile);
    assertSame(site, firstRows, early);
    const voices = voicesOf(site, second, settings, {
      shadow: secondRows,
      daemon: withRows(second, enforcedList),
      observe: withRows(second, watchedList),
    });
    for (const row of tableOf(voices)) t.diagnostic(row);
    const disagreed = voices.filter(({ said }) => new Set(Object.values(said)).size > 1);
    const shown = disagreed.map(
      ({ line, said }) => `${describe(line)} (${line.reason}): ${JSON.stringify(said)}`,
    );
    assert.deepEqual(shown.slice(0, 20), [], `${shown.length} lines`);
    for (const rows of [secondList, enforcedList, watchedList]) assertReplayed(settings, rows, voices);
    assert.deepEqual(replayOf(early, firstList).changes, [], 'the first half judged again');
    await spotChecks(site, enforcing, settings, voices);
    tell('compared');

    // The suggestions as they are.
    await enforcing.daemon.reload(enforcing.configuration(suggested));
    const plainSettings = openSettings(enforcing.daemon.configFile);
    const plain = explainer(site, plainSettings);
    const isAllowed = (line: Line, row: ExchangeRow): boolean =>
      plain(line, row).outcomes?.done.kind === 'served';
    await assertReplayedByProgram(gate, replayOf(plainSettings, [...firstList, ...secondList]));
    const reads = [...secondRows].filter(
      ([line, row]) => doneIn(row) === 'served' && isHarmless(plain(line, row)),
    );
    const unread = reads.filter(([line, row]) => !isAllowed(line, row));
    tell(`of ${reads.length} lines of the second half that read, ${unread.length} are not allowed`);
    assert.ok(unread.length <= reads.length * 0.02, unread.map(([line]) => describe(line)).join('\n'));

    const seen = [...firstRows].filter(([, row]) => doneIn(row) === 'served');
    // What no rule of the operator allowed.
    const serious = seen.filter(
      ([line, row]) => textIn(row.fields, 'would') === 'denied' && !isHarmless(plain(line, row)),
    );
    const often = twice(serious);
    assert.deepEqual(
      often.filter(([line, row]) => !isAllowed(line, row)).map(([line]) => describe(line)),
      [],
    );
    const [bases, all] = [serious, seen].map((each) => each.map(([line]) => line));
    const relatives = relativesOf(bases ?? [], all ?? [], relativesCount, seed);
    assert.equal(relatives.length, relativesCount);
    const served: string[] = [];
    await inOrder(relatives, async (line) => {
      const { status } = await enforcing.ask(line, true);
      if (status !== '-NOPERM') served.push(`${status} ${describe(line)}`);
    });
    assert.deepEqual(served, []);
    tell(`${often.length} that were done twice are allowed, and of ${relatives.length} relatives none`);
  },
  labTestMs + rounds * 60_000,
);

const describe = ({ lane, user, words }: Line): string => `${lane.name}: ${words.join(' ')} for ${user}`;

interface Twin {
  ask(line: Line): Promise<RawReply>;
}

/** Asked directly; a command that names no user leaves rows behind for the next reply, and so has a connection of its own. */
function openTwin(owner: TestContext, { client, labs: [, lab] }: Site): Twin {
  const open = (): Promise<RawClient> =>
    openRawClient({ path: lab.unixPreauth, ...client, owner, timeoutMs: 120_000 });
  const kept = new Map<Lane, Promise<RawClient>>(lanes.map((lane) => [lane, open()]));
  return {
    async ask({ lane, user, words }) {
      const isAlone = user === '';
      const connection = await (isAlone ? open() : (kept.get(lane) ?? assert.fail()));
      const reply = await connection.ask({ user, fields: words });
      if (isAlone) connection.close();
      return reply;
    },
  };
}

/** Runs the lines of a client, and those about a user, one after the other; those about nobody when nothing else runs. */
async function inOrder(lines: readonly Line[], run: (line: Line) => Promise<void>): Promise<void> {
  const last = new Map<unknown, Promise<void>>();
  for (const line of lines) {
    const keys = line.user === '' ? [...last.keys(), line.lane, ''] : [line.lane, line.user, ''];
    const before = Promise.all(new Set(keys.map((key) => last.get(key) ?? Promise.resolve())));
    const mine = before.then(() => run(line));
    for (const key of keys) if (key !== '' || line.user === '') last.set(key, mine);
  }
  await Promise.all(last.values());
}

/** At the gate, and what it served at the twin, too; those lines. */
async function beside(
  site: Site,
  gate: SiteGate,
  twin: Twin,
  lines: readonly Line[],
): Promise<ReadonlySet<Line>> {
  const wrong: string[] = [];
  const compared = new Set<Line>();
  await inOrder(lines, async (line) => {
    const answer = site.comparable(line.words, await gate.ask(line));
    if (answer.logs.some((text) => text.startsWith('dovegate: '))) return;
    const direct = site.comparable(line.words, await twin.ask(line));
    const [ours, theirs] = [answer, direct].map((each) => JSON.stringify(each));
    compared.add(line);
    if (ours !== theirs) wrong.push(`${describe(line)}\n  ${ours}\n  ${theirs}`);
  });
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} lines`);
  return compared;
}

const guide = readFileSync(new URL('docs/migrate-from-root.md', projectRoot), 'utf8');
const guideList = guide
  .slice(guide.indexOf('Without a rule these are refused'), guide.indexOf('In this step the policy only'))
  .split(/\n+(?:- )?|; /);

interface Voices {
  readonly line: Line;
  readonly said: Readonly<Record<'daemon' | 'explain' | 'observe' | 'shadow', string>>;
  /** As it is known without a look at the mails: `depends`. */
  readonly outcome: string;
  readonly matches: number | undefined;
}

type LineRows = ReadonlyMap<Line, ExchangeRow>;

/** What each of them says became, or would become, of each line. Where that depends on mails: with as many as the daemon counted. */
function voicesOf(
  site: Site,
  lines: readonly Line[],
  settings: Settings,
  rows: Readonly<Record<'daemon' | 'observe' | 'shadow', LineRows>>,
): Voices[] {
  const explain = explainer(site, settings);
  const limiter = new Limiter(100_000);
  return lines.map((line) => {
    const rowIn = (of: LineRows): ExchangeRow => of.get(line) ?? assert.fail();
    const [daemonRow, observeRow, shadowRow] = [rowIn(rows.daemon), rowIn(rows.observe), rowIn(rows.shadow)];
    const matches = numberIn(daemonRow.fields, 'matches');
    const outcome =
      explain(line, daemonRow, (asks) => limiter.admit(asks, 0)).outcomes?.done ?? assert.fail();
    const explained = withMatches(outcome, matches).kind;
    const [would, shadow] = [textIn(observeRow.fields, 'would'), textIn(shadowRow.fields, 'shadow')].map(
      (word) => (word === 'depends' && outcome.kind === 'depends' ? explained : word),
    );
    const daemon = doneIn(daemonRow);
    const observe = would || doneIn(observeRow);
    return {
      line,
      outcome: outcome.kind,
      matches,
      said: {
        daemon,
        explain: explained,
        // Observing has nothing on request.
        observe: daemon === 'on-request' && observe === 'denied' ? daemon : observe,
        shadow: shadow || doneIn(shadowRow),
      },
    };
  });
}

function tableOf(voices: readonly Voices[]): string[] {
  const kindOf = ({ said, matches }: Voices): string =>
    `${said.daemon}${matches === undefined ? '' : ' (mails counted)'}`;
  const kinds = [...new Set(voices.map(kindOf))].toSorted();
  const rowOf = (name: string, of: readonly Voices[]): string[] => [
    name,
    ...kinds.map((kind) => String(of.filter((each) => kindOf(each) === kind).length)),
    String(of.length),
  ];
  const head = ['', ...kinds, 'lines'];
  const rows = jobs.map((job) =>
    rowOf(
      job,
      voices.filter(({ line }) => line.lane.policy === job),
    ),
  );
  const widthOf = (at: number): number => (head[at]?.length ?? 0) + 2;
  return [head, ...rows, rowOf('all', voices)].map((row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(14) : cell.padStart(widthOf(at)))).join(''),
  );
}

/** The daemon that observes, explain and the records: what was done, and what its rules would have done. */
function assertSame(site: Site, rows: LineRows, settings: Settings): void {
  const explain = explainer(site, settings);
  const wrong = [...rows].flatMap(([line, row]) => {
    const { done, rules } = explain(line, row).outcomes ?? assert.fail();
    const said = [doneIn(row), textIn(row.fields, 'would') || doneIn(row)];
    const explained = [done.kind, rules.kind];
    return said.join() === explained.join()
      ? []
      : [`${describe(line)}: ${said.join()} and ${explained.join()}`];
  });
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} lines`);
}

function replayOf(settings: Settings, rows: readonly ExchangeRow[]): ReplayResult {
  const replay = createReplay(settings);
  for (const row of rows) replay.take(row);
  return replay.finish();
}

const wordOf = (kind: string): string =>
  ({ served: 'allow', denied: 'deny', unparsable: 'deny' })[kind] ?? kind;

/** One replay of all rows: what it says changes is what differs between what was done and what is said. */
function assertReplayed(settings: Settings, rows: readonly ExchangeRow[], voices: readonly Voices[]): void {
  const expected = new Map<string, number>();
  const byLine = withRows(
    voices.map(({ line }) => line),
    rows,
  );
  const add = (to: Map<string, number>, key: readonly unknown[], by: number): void => {
    const text = JSON.stringify(key);
    to.set(text, (to.get(text) ?? 0) + by);
  };
  for (const { line, outcome, said } of voices) {
    const row = byLine.get(line) ?? assert.fail();
    const recorded = recordedLine(row);
    if (recorded?.kind !== 'line') continue;
    const from = wordOf(recorded.done);
    const to = wordOf(outcome === 'depends' && recorded.matches === undefined ? outcome : said.explain);
    if (from !== to) add(expected, [line.lane.listener, recorded.words, from, to], 1);
  }
  const found = new Map<string, number>();
  const { changes, untold } = replayOf(settings, rows);
  for (const { listener, words, from, to, count: times } of changes)
    add(found, [listener, words, from, to], times);
  assert.equal(untold, 0);
  assert.deepEqual(found, expected);
}

/** Those that were done again for somebody of the same domain, and went well. */
function twice(rows: readonly (readonly [Line, ExchangeRow])[]): readonly (readonly [Line, ExchangeRow])[] {
  const times = new Map<string, number>();
  const keyOf = ({ lane, user, words }: Line): string =>
    JSON.stringify([lane.policy, user.replace(/.*@/, ''), words]);
  const well = rows.filter(([, row]) => textIn(row.fields, 'outcome') === 'ok');
  for (const [line] of well) times.set(keyOf(line), (times.get(keyOf(line)) ?? 0) + 1);
  return well.filter(([line]) => (times.get(keyOf(line)) ?? 0) > 1);
}

/** `test --replay DIR --candidate FILE` counts what a replay of the same rows counts. */
async function assertReplayedByProgram({ daemon }: SiteGate, replayed: ReplayResult): Promise<void> {
  const asked = ['--replay', daemon.path('audit'), '--candidate', daemon.path('suggested.yaml')];
  const { text } = await runWarm(['test', '--config', daemon.configFile, ...asked]);
  const { judged, allowToDeny, denyToAllow, otherwise, toObstacle } = replayed;
  const same = judged - allowToDeny - denyToAllow - otherwise - toObstacle;
  const summary = `${judged} records judged: ${same} as before, ${allowToDeny} allow -> deny, ${denyToAllow} deny -> allow`;
  assert.ok(text.replaceAll(/(?<=\d),(?=\d)/g, '').includes(`\n${summary}\n`), `${summary}\n${text}`);
}

/** The program itself, for a line of each kind: from files, and asking the daemon. */
async function spotChecks(
  site: Site,
  { daemon }: SiteGate,
  settings: Settings,
  voices: readonly Voices[],
): Promise<void> {
  const explain = explainer(site, settings);
  const kinds = new Map(voices.map((each) => [`${each.line.lane.policy} ${each.outcome}`, each]));
  for (const { line } of [...kinds.values()].slice(0, 12)) {
    const { lane, user, words } = line;
    const whose = lane.uid === undefined ? ['--account', lane.name] : ['--uid', String(lane.uid)];
    const asked = ['--json', '--user', user, '--', ...words];
    const client = ['--client', String(site.client.minor), '--series', site.series];
    const place = ['--config', daemon.configFile, '--listener', lane.listener];
    const { stdout, text } = await runWarm(['explain', ...place, ...whose, ...client, ...asked]);
    const said = asObject(JSON.parse(stdout.toString())) ?? assert.fail(text);
    const { outcomes, obstacle } = explain({ ...line, reason: undefined }, undefined);
    const expected = obstacle === undefined ? outcomes?.done.kind : 'obstacle';
    assert.equal(said['outcome'], expected, `${describe(line)}: ${text}`);
    if (lane.uid === undefined) continue;
    const socket = daemon.path(`${lane.listener}.sock`);
    const answered = await runWarm(['explain', '--socket', socket, ...asked]);
    const answer = asObject(JSON.parse(answered.stdout.toString())) ?? assert.fail(answered.text);
    assert.equal(answer['outcome'], expected, `${describe(line)}: ${answered.text}`);
  }
}

/** What observing refused, it refused for what the guide lists; what it served, the twin was asked, too. */
function assertListed(rows: LineRows, compared: ReadonlySet<Line>): void {
  for (const [line, row] of rows) {
    if (doneIn(row) === 'served') {
      const isSent = textIn(row.fields, 'backend') !== '';
      assert.equal(compared.has(line), isSent, `${describe(line)}: ${row.said}`);
    }
    if (doneIn(row) !== 'denied') continue;
    const text = textIn(row.fields, 'text');
    const [, beyond = ''] = text.split('goes beyond that: ');
    const why = Object.values(beyondObserving).find((each) => beyond.endsWith(each));
    assert.ok(why !== undefined, `${describe(line)}: ${text}`);
    assert.ok(
      guideList.some((each) => each.endsWith(why)),
      `the guide does not list: ${why}`,
    );
  }
}

/** Nothing changes by it, no mail is shown, and it is for one user. */
function isHarmless({ judgement }: Explained): boolean {
  return judgement.kind === 'judged' && mayWiden([judgement.attempt]);
}

type Explainer = (line: Line, row: ExchangeRow | undefined, count?: Count) => Explained;

/** As `dovegate explain` says it, with the reason of the line and with counts. */
function explainer({ series, client }: Site, settings: Settings): Explainer {
  const table = routingTableOf(settings, [series]);
  return ({ lane, user, words, reason }, row, counting) => {
    const policy = settings.policies.get(lane.policy) ?? assert.fail();
    const principal = textIn(row?.fields ?? {}, 'principal');
    const subject = { listener: lane.listener, principal, clientMinor: client.minor, policy };
    const given = { reason, origin: originOfRecord(row?.fields ?? {}), count: counting };
    return explainLine(plainLine(user, words), subject, table, Date.now(), given);
  };
}
