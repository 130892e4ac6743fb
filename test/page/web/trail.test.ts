// Rows of the trail: values of records as people read them, the columns of an address, and what was looked through.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { isLeftOut } from '../../../src/evidence/story/leave-out.js';
import { outcomeOf, remarkOf } from '../../../src/evidence/story/row.js';
import { formatCsvHeader } from '../../../src/evidence/trail/export.js';
import type { AskTrail } from '../../../src/evidence/views/asked.js';
import type { TrailLine, TrailRow } from '../../../src/evidence/views/trail.js';
import { valueText } from '../../../src/journal/records/stored.js';
import type { Api } from '../../../src/page/web/api.js';
import { collectFile, csvHeader, fileNameOf, findMore, pageRows } from '../../../src/page/web/trail-find.js';
import {
  commandOf,
  completeQuery,
  dayTerms,
  formatQuery,
  parseQuery,
  queryKeys,
  shellQuoted,
  trailPath,
  withFilter,
} from '../../../src/page/web/trail-query.js';
import {
  columnsOf,
  columnsText,
  commandText,
  destroyedWords,
  knownValues,
  lastColumnOf,
  lookedText,
  lookedWith,
  queryValue,
  retiredTexts,
  usersText,
  wantedOf,
} from '../../../src/page/web/trail-rows.js';
import { showUtc } from '../../../src/page/web/wording.js';

const row = (fields: TrailRow['fields'], more: Partial<TrailRow> = {}): TrailRow => ({ fields, ...more });

void test('every kind of value has a text', () => {
  const cases: readonly (readonly [unknown, string])[] = [
    [undefined, ''],
    [null, ''],
    ['<img onerror=alert(1)>', '<img onerror=alert(1)>'],
    [1.5, '1.5'],
    [true, 'true'],
    [['a', { hmac: 'ab' }, { more: 3 }], 'a hmac:ab (3 more, not recorded)'],
    [{ cut: 'abc', bytes: 4096, sha256: 'x' }, 'abc(cut: 4096 bytes)'],
    [{ uid: 5, user: 'bob' }, 'uid=5 user=bob'],
    // A program that is called as if it were another peer.
    [{ uid: 5, exe: '/a" uid=0' }, 'uid=5 exe="/a\\" uid=0"'],
    [{ bytes: 12, hmac: 'ab' }, 'hmac:ab'],
    [{ bytes: 12 }, 'bytes=12'],
  ];
  for (const [value, text] of cases) assert.equal(valueText(value), text);
});

void test('a search by which dovegate counted mails says so in its row', () => {
  const fields = { command: 'search', args: ['all'], for: 'E9', request: 'R1' };
  assert.equal(commandText({ fields }), 'search all (counted by dovegate for request R1)');
});

void test('a command without an end is open; what a policy would have said stands beside it', () => {
  assert.equal(outcomeOf(row({ outcome: 'ok' }, { completedSeq: 2 })), 'ok');
  assert.equal(outcomeOf(row({})), 'open');
  assert.equal(remarkOf(row({ would: 'denied' })), 'the rules would deny it');
  assert.equal(remarkOf(row({ shadow: 'served' })), 'the candidate would serve it');
  const both = remarkOf(row({ would: 'no-reason', shadow: 'on-request' }));
  assert.equal(both, 'the rules would want a reason for it; the candidate would want a request for it');
  assert.equal(remarkOf(row({ would: 'x', shadow: {} })), '');
  assert.equal(remarkOf(row({})), '');
});

void test('columns stand in the address; what is none is left out', () => {
  const all = 'time principal user command effect outcome backend ms text id'
    .split(' ')
    .map((id) => ({ id }));
  const usual = columnsOf(all, null, 'ms');
  assert.equal(columnsText(usual, 'ms'), null);
  const ids = columnsOf(all, 'id,nothing,time', 'ms')
    .map(({ id }) => id)
    .join(' ');
  assert.equal(ids, 'time id');
  assert.deepEqual(columnsOf(all, 'nothing', 'ms'), usual);
  assert.equal(columnsText(columnsOf(all, 'id,time', 'ms'), 'ms'), 'time,id');
  // Of what did not go well it is shown why, without a choice.
  const last = [{ outcome: 'failed' }, { effect: 'destroy' }, {}].map(lastColumnOf);
  assert.deepEqual(last, ['text', 'matches', 'ms']);
  const ofTrouble = columnsOf(all, null, 'text');
  assert.ok(ofTrouble.some(({ id }) => id === 'text'));
  assert.equal(columnsText(ofTrouble, 'text'), null);
  assert.equal(columnsText(usual, 'text'), usual.map(({ id }) => id).join(','));
});

void test('a row is opened by its id, or by its seq where the id is none', () => {
  assert.equal(wantedOf(row({ id: '01M7' })), '01M7');
  assert.equal(wantedOf(row({ id: '../x' }, { admittedSeq: 5 })), '5');
  assert.equal(wantedOf(row({ id: { cut: 'x' } })), undefined);
  assert.equal(commandText(row({ command: 'mailbox list', args: ['--', 'a b'] })), 'mailbox list a b');
  assert.equal(commandText(row({ command: 'search', args: ['--', '--', 'x'] })), 'search -- x');
  assert.deepEqual(knownValues([row({ user: 'b' }), row({ user: 'a' }), row({ user: 5 })]).user, ['a', 'b']);
});

void test('pages add up what they looked through', () => {
  const page = (fromSeq: number, toSeq: number, fromTime: string, toTime: string) => ({
    rows: 0,
    looked: { fromSeq, toSeq, fromTime, toTime },
  });
  const one = lookedWith(undefined, page(901, 2000, 'B', 'C'));
  const two = lookedWith(one, page(1, 900, 'A', 'B'));
  assert.deepEqual(two, { records: 2000, fromTime: 'A', toTime: 'C' });
  const looked = 'For these rows 2,000 records were looked through from {A} to {C}; nothing older is left.';
  assert.equal(lookedText(two, true), looked);
  assert.match(lookedText(two, true, true), /from \{A\} to \{C\}; older ones were not asked for\.$/);
  assert.equal(lookedWith(two, { rows: 0 }), two);
  assert.match(lookedText(undefined, true), /^The journal holds no records/);
  const aged = { segments: 2, until: 'A', by: 'age' } as const;
  assert.deepEqual(retiredTexts([aged, aged, { segments: 1 }]), [
    'Records before {A} were removed by age (audit.keep): 2 segments.',
    'Older records were removed: 1 segment.',
  ]);
});

// Pages of a search, and files of what it finds: asked for until there is something to show, whole or not at all.
function scripted(answers: readonly (readonly TrailLine[])[]): {
  api: Pick<Api, 'lines'>;
  asked: [string, unknown][];
} {
  const asked: [string, unknown][] = [];
  const left = [...answers];
  const api = {
    async *lines<T>(endpoint: string, { body }: { readonly body?: unknown } = {}) {
      asked.push([endpoint, body]);
      // Through JSON, as from the daemon.
      for (const line of left.shift() ?? assert.fail('asked too often')) {
        const value: T = JSON.parse(JSON.stringify(line));
        yield value;
      }
    },
  };
  return { api, asked };
}

const { signal } = new AbortController();
const lineOf = (admittedSeq: number): TrailLine => ({ row: { fields: {}, admittedSeq } });
const filter: AskTrail['filter'] = { user: 'alice' };
const onChange = (): void => undefined;

void test('a search goes on by itself where nothing was found yet, and stops with a full page', async () => {
  const full = Array.from({ length: pageRows }, (_, at) => lineOf(1_000 - at));
  const { api, asked } = scripted([
    [{ end: { rows: 0, before: 5_000 } }],
    [lineOf(4_000), { end: { rows: 1, before: 3_000 } }],
    [...full.slice(1), { end: { rows: 49, before: 900 } }],
  ]);
  const found = await findMore({ api, filter, signal, onChange }, undefined);
  assert.equal(found.rows.length, pageRows);
  assert.equal(found.before, 900);
  const newest = asked.map(([, body]) => Object(body).newest);
  assert.deepEqual(newest, [{ rows: 50 }, { before: 5_000, rows: 50 }, { before: 3_000, rows: 49 }]);
});

const surveyed = { records: 0, all: 9, firstTime: 'A', lastTime: 'B', isNamed: false };

void test('where nothing is found at all, names like the one that was meant are asked for', async () => {
  const { api, asked } = scripted([
    [{ end: { rows: 0 } }],
    [{ end: { rows: 0, surveyed: { ...surveyed, names: ['alice@example.org'] } } }],
  ]);
  const found = await findMore({ api, filter, signal, onChange }, undefined);
  assert.deepEqual(found.meant, ['alice@example.org']);
  assert.equal(asked.map(([endpoint]) => endpoint).join(), 'POST /api/trail/search,POST /api/trail/survey');
  const without = scripted([[{ end: { rows: 0 } }]]);
  await findMore({ api: without.api, filter: {}, signal, onChange }, undefined);
});

void test('an answer without its end is no answer', async () => {
  const search = findMore({ api: scripted([[lineOf(1)]]).api, filter, signal, onChange }, undefined);
  await assert.rejects(search, /ended too early/);
  const { api } = scripted([[{ line: 'x' }]]);
  await assert.rejects(collectFile({ api, filter, signal, onRows: onChange }, 'csv'), /ended too early/);
});

void test('a file has all parts: CSV with one header, JSON lines, extracts with their signatures', async () => {
  const cursor = { after: 9, open: [7] };
  const parts = (): readonly (readonly TrailLine[])[] => [
    [
      { line: 'a' },
      { line: 'b' },
      { end: { rows: 2, cursor } },
      { signed: { head: 'H', signature: 'S' }, notes: ['# n'] },
    ],
    [{ line: 'c' }, { end: { rows: 1 } }, { signed: { head: 'I', signature: 'T' }, notes: ['# n'] }],
  ];
  const textOf = async (form: 'csv' | 'json' | 'extract'): Promise<string> => {
    const { api, asked } = scripted(parts());
    const saved = await collectFile({ api, filter, signal, onRows: onChange }, form);
    assert.deepEqual([saved.rows, saved.isWhole], [3, true]);
    assert.deepEqual(asked[1]?.[1], { filter, as: form === 'csv' ? 'csv' : 'json', cursor });
    return saved.texts.join('');
  };
  assert.equal(csvHeader, formatCsvHeader());
  assert.equal(await textOf('csv'), `${csvHeader}\r\na\r\nb\r\nc\r\n`);
  assert.equal(await textOf('json'), 'a\nb\nc\n');
  assert.equal(await textOf('extract'), '# n\n@ H\n* a\n* b\n! S\n# n\n@ I\n* c\n! T\n');
  const unsigned = scripted([[{ line: 'a' }, { end: { rows: 1 } }]]);
  const extract = collectFile({ api: unsigned.api, filter, signal, onRows: onChange }, 'extract');
  await assert.rejects(extract, /not signed/);
});

void test('the name of a file holds nothing of a path', () => {
  const name = fileNameOf('../mail 1/\u202e', 'csv', Date.parse('2026-11-21T22:00:00Z'));
  assert.equal(name, 'dovegate-.._mail_1__-trail-2026-11-21.csv');
});

// The search line: what it means, what is wrong with it in a sentence, what may come next, and the command that finds the same.
const nowMs = Date.parse('2026-11-21T22:00:00Z');

function filterOf(line: string): unknown {
  const parsed = parseQuery(line, nowMs);
  return 'problem' in parsed ? parsed.problem : parsed.filter;
}

function commandFor(line: string): string {
  const parsed = parseQuery(line, nowMs);
  assert.ok('terms' in parsed);
  return commandOf(parsed);
}

void test('a line becomes a filter', () => {
  assert.deepEqual(filterOf('kind:look by:carol grant:G1'), { kind: 'look', by: 'carol', grant: 'G1' });
  assert.deepEqual(filterOf('would:any shadow:denied'), { would: 'any', shadow: 'denied' });
  assert.match(String(filterOf('shadow:no')), /^shadow: is one of served, /);
  assert.equal(commandFor('shadow:any'), 'dovegate audit search --shadow any');
  assert.match(String(filterOf('kind:none')), /^kind: is one of command, access, /);
  assert.deepEqual(filterOf(''), {});
  assert.deepEqual(filterOf('  user:alice*  command:"mailbox list" outcome:failed since:7d '), {
    user: 'alice*',
    command: 'mailbox list',
    outcome: 'failed',
    sinceMs: nowMs - 7 * 86_400_000,
  });
  // A name alone is of any listener, as on the command line.
  assert.deepEqual(filterOf('principal:bob'), { principal: 'bob@*' });
  assert.deepEqual(filterOf('principal:bob@support'), { principal: 'bob@support' });
  // As the column is called.
  assert.deepEqual(filterOf('requester:bob'), { principal: 'bob@*' });
  assert.match(String(filterOf('requester:bob principal:bob')), /^principal: stands there twice/);
  assert.deepEqual(filterOf('text:"a \\"b\\" \\\\ c:d"'), { text: 'a "b" \\ c:d' });
  assert.deepEqual(filterOf('text:a:b'), { text: 'a:b' });
});

void test('times are read as the command line reads them, days in the zone of the times that are shown', (t) => {
  const since = (text: string): unknown => Object(filterOf(`since:${text}`)).sinceMs;
  const until = (text: string): unknown => Object(filterOf(`until:${text}`)).untilMs;
  assert.equal(since('90m'), nowMs - 90 * 60_000);
  assert.equal(since('today'), Date.parse('2026-11-21T00:00:00Z'));
  assert.equal(since('yesterday'), Date.parse('2026-11-20T00:00:00Z'));
  assert.equal(until('2026-11-20'), Date.parse('2026-11-21T00:00:00Z'));
  assert.equal(since('2026-11-20T10:00:00+01:00'), Date.parse('2026-11-20T09:00:00Z'));
  // The clock of the reader, in a zone where the offset changes on the day.
  const zone = process.env['TZ'];
  t.after(() => {
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });
  process.env['TZ'] = 'Europe/Berlin';
  assert.equal(since('today'), Date.parse('2026-11-20T23:00:00Z'));
  assert.equal(until('yesterday'), Date.parse('2026-11-20T23:00:00Z'));
  assert.equal(since('2026-10-25'), Date.parse('2026-10-24T22:00:00Z'));
  assert.equal(until('2026-10-25'), Date.parse('2026-10-25T23:00:00Z'));
  assert.equal(commandFor('since:today'), 'dovegate audit search --since 2026-11-20T23:00:00Z');
  // What people type, in the zone of the times that are shown: it is 23:00 there.
  assert.equal(since('02:30'), Date.parse('2026-11-21T01:30:00Z'));
  assert.equal(since('23:30'), Date.parse('2026-11-20T22:30:00Z'));
  assert.equal(since('"20 Nov 01:30"'), Date.parse('2026-11-20T00:30:00Z'));
  assert.equal(commandFor('since:02:30'), 'dovegate audit search --since 2026-11-21T01:30:00Z');
  showUtc(true);
  t.after(() => showUtc(false));
  assert.equal(since('today'), Date.parse('2026-11-21T00:00:00Z'));
  assert.deepEqual(filterOf(formatQuery(dayTerms('2026-10-31'))), {
    sinceMs: Date.parse('2026-10-31T00:00:00Z'),
    untilMs: Date.parse('2026-11-01T00:00:00Z'),
  });
  const none = 'soon 7 2026-02-30 2026-11-20T25:00:00 10:00Z -1d 1e3d constructor __proto__';
  for (const wrong of none.split(' '))
    assert.match(String(filterOf(`since:${wrong}`)), /^since: is a time ago .* is none of these\.$/, wrong);
});

void test('words without a key are a text', () => {
  assert.deepEqual(filterOf('alice'), { text: 'alice' });
  assert.deepEqual(filterOf('ticket user:bob 4711'), { user: 'bob', text: 'ticket 4711' });
  assert.deepEqual(filterOf('"alice b" reason:"asked for"'), { text: 'alice b', reason: 'asked for' });
});

void test('what is wrong is said in a sentence', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['alice text:b', /^"alice" has no key, and text: stands there, too/],
    // Whatever said no is in one class, `outcome:denied`.
    ['decision:deny', /^There is no key "decision"/],
    ['usr:alice', /^There is no key "usr"\. The keys are user, command, /],
    ['user:', /^user: has no value\.$/],
    ['user:"alice', /^A quote is not closed/],
    ['user:a user:b', /^user: stands there twice/],
    ['outcome:bad', /^outcome: is one of ok, .*; "bad" is not\.$/],
    ['since:1h until:2h', /^since: is not before until:/],
    ['__proto__:x', /^There is no key "__proto__"/],
    ['constructor:x', /^There is no key "constructor"/],
  ];
  for (const [line, wanted] of cases) assert.match(String(filterOf(line)), wanted, line);
});

void test('a line that is written from terms means these terms', () => {
  const short = ['alice*', 'a b', '"', '\\', 'a\\"b', 'k:v', '<img onerror=x>', '\u202eevil'];
  const values = [...short, 'x'.repeat(4096)];
  for (const { key, values: list } of queryKeys) {
    if (list !== undefined || key === 'since' || key === 'until') continue;
    for (const value of values) {
      const parsed = parseQuery(formatQuery({ [key]: value, outcome: 'ok' }), nowMs);
      assert.deepEqual('terms' in parsed && parsed.terms, { [key]: value, outcome: 'ok' });
    }
  }
  assert.equal(trailPath({}), '/trail');
  assert.equal(trailPath({ user: 'a b&c' }), '/trail?q=user%3A%22a%20b%26c%22');
  assert.ok('filter' in withFilter({ user: '' }, nowMs));
});

void test('a key is completed, then its value', () => {
  const offers = (line: string, known = {}): string[] => completeQuery(line, known).map(({ text }) => text);
  assert.deepEqual(offers('co'), ['command:']);
  assert.deepEqual(offers('user:a o'), ['outcome:']);
  // After a blank every key that is not there yet, as no form lists them.
  const offered = [offers('user:a ').length, offers('user:a ').includes('user:')];
  assert.deepEqual(offered, [queryKeys.length - 1, false]);
  assert.deepEqual(offers('outcome:de'), ['denied']);
  assert.deepEqual(offers('req'), ['requester:']);
  assert.deepEqual(offers('requester:bob princ'), []);
  assert.deepEqual(offers('requester:an', { principal: ['anna@desk'] }), ['anna@desk']);
  assert.deepEqual(offers('since:'), ['1h', '24h', '7d', '30d', 'today', 'yesterday']);
  const known = { user: ['alice@example.org', 'a b'] };
  assert.deepEqual(offers('user:AL', known), ['alice@example.org']);
  const [offer] = completeQuery('outcome:ok user:a\\', known);
  assert.equal(offer, undefined);
  assert.equal(completeQuery('outcome:ok user:"a ', known)[0]?.line, 'outcome:ok user:"a b" ');
  assert.deepEqual(offers('nothing:x'), []);
});

void test('the command finds the same, and nothing in it is more than its words', () => {
  assert.equal(commandFor(''), 'dovegate audit search');
  assert.equal(commandFor('user:alice* since:7d'), "dovegate audit search --user 'alice*' --since 7d");
  const without = commandFor('-requester:bob user:a -command:"quota get" effect:content');
  const nots = "--not principal:bob --not 'command:quota get'";
  assert.equal(without, `dovegate audit search --user a --effect content ${nots}`);
  const hostile = ['$(id)', "it's", '`id`', 'a\nb', '-x', '\u001b[2J', '\u202ea', "\\'\n;", '!x', '~', 'é'];
  for (const value of hostile) {
    const word = shellQuoted(value);
    assert.doesNotMatch(word, /[\p{Cc}\p{Cf}]/u);
    const said = execFileSync('bash', ['--norc', '-c', `printf %s ${word}`], {
      encoding: 'utf8',
      env: { LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] ?? '' },
    });
    assert.equal(said, value);
  }
});

void test('what a candidate would have done can be left out, each or all', () => {
  const [same, denied, served] = [undefined, 'denied', 'served'].map((shadow) => row({ shadow }));
  const left = (value: string) =>
    [same, denied, served].map((each) => isLeftOut(each ?? assert.fail(), [{ key: 'shadow', value }]));
  assert.deepEqual(left('any'), [false, true, true]);
  assert.deepEqual(left('denied'), [false, true, false]);
});

void test('a minus leaves out what has the value, in the line, as a chip and in rows', () => {
  const line = 'user:alice* -command:"quota get" -outcome:ok';
  const parsed = parseQuery(line, 0);
  assert.ok('terms' in parsed);
  assert.deepEqual(parsed.not, [{ key: 'command', value: 'quota get' }]);
  // A list without what went well has the refused requests for access, too, which the reader has to look for.
  assert.equal(parsed.filter.outcome, 'not-ok');
  assert.equal(formatQuery(parsed.terms, parsed.not), 'user:alice* outcome:not-ok -command:"quota get"');
  assert.ok('problem' in parseQuery('-since:7d', 0));
  assert.ok('problem' in parseQuery('-nothing:x', 0));

  const not = [
    { key: 'command', value: 'mailbox' },
    { key: 'principal', value: 'anna' },
    { key: 'user', value: '*@example.net' },
  ] as const;
  const isOut = (fields: Record<string, unknown>): boolean => isLeftOut(row(fields), not);
  assert.ok(isOut({ command: 'mailbox list' }));
  assert.ok(!isOut({ command: 'mailboxes' }));
  assert.ok(isOut({ principal: 'anna@desk' }));
  assert.ok(!isOut({ principal: 'annabel@desk' }));
  assert.ok(isOut({ user: 'bob@example.net' }));
  assert.ok(!isOut({ user: 'bob@example.net.org' }));
  assert.ok(!isOut({}));
});

void test('a person is left out of what they did on the page, too, and so is a kind', () => {
  const look = row({ event: 'operator', action: 'audit-search', by: 'page:frank' });
  const other = row({ event: 'operator', action: 'audit-search', by: 'page:franka' });
  for (const line of '-requester:frank -principal:frank -by:frank -requester:page:frank -kind:look'.split(
    ' ',
  )) {
    const parsed = parseQuery(line, 0);
    assert.ok('terms' in parsed, line);
    const { not = [] } = parsed;
    assert.ok(isLeftOut(look, not), line);
    assert.equal(isLeftOut(other, not), line === '-kind:look', line);
  }
});

void test('an effect is searched for, and left out, as it is shown', () => {
  assert.deepEqual(filterOf('effect:content'), { effect: 'content' });
  const offered = completeQuery('effect:con', {})
    .map(({ text }) => text)
    .join();
  assert.equal(offered, 'content');
  for (const content of ['yes', 'searched', 'maybe'] as const) {
    const shows = { ...row({ effect: 'read' }), content };
    assert.equal(queryValue(shows, 'effect'), 'content');
    assert.ok(isLeftOut(shows, [{ key: 'effect', value: 'content' }]), content);
    assert.ok(!isLeftOut(shows, [{ key: 'effect', value: 'read' }]), content);
    // A command that changes by a content key is shown as what it changes.
    assert.equal(queryValue({ ...row({ effect: 'write' }), content }, 'effect'), 'write');
  }
  assert.ok(isLeftOut(row({ effect: 'read' }), [{ key: 'effect', value: 'read' }]));
});

void test('a command for all users says so, and one that touches others names them', () => {
  assert.equal(usersText(row({ user: 'a@b', args: ['--', '-A'] })), 'a@b');
  assert.equal(usersText(row({ users: ['*'] })), 'all users');
  assert.equal(usersText(row({ user: 'a@b', users: ['a@b', 'c@d'] })), 'a@b');
  assert.equal(usersText(row({ users: ['c@d', 'e@f'] })), 'c@d e@f');
  assert.equal(usersText(row({})), '');
});

void test('how many mails were destroyed is said as far as it was counted before', () => {
  const none = { commands: 0, mailsMax: 0, mails: 0, uncounted: 0 };
  assert.equal(destroyedWords(none), '');
  assert.equal(
    destroyedWords({ commands: 3, mailsMax: 1043, mails: 30, uncounted: 0 }),
    'Mails destroyed: 3 commands named at most 1,043 mails, and destroyed 30, as counted before.',
  );
  assert.equal(
    destroyedWords({ ...none, uncounted: 2 }),
    'Mails destroyed: of 2 commands it is not known: Dovecot was not asked.',
  );
  assert.match(
    destroyedWords({ commands: 1, mailsMax: 1, mails: 1, uncounted: 1 }),
    /before; of 1 command it/,
  );
});
