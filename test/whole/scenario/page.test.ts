// Goal: people without rights on the files of the journal look at it over `admin.page.unix`, each as the role and the users allow.
// Phases: a limited view asked for everything with hostile filters (over TCP it is the same view: test/page/trail-answers); the commands
// over the socket; a reload that takes somebody out. What must not happen: a name of another domain in any byte of an answer, an answer
// that depends on what is hidden, a look without a record, an action.

import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askPageAs, type PageAnswer, type PageRequest } from '../../kit/plain/ask-page.js';
import { until } from '../../kit/plain/until.js';

const ourUid = process.getuid?.() ?? -1;
/** Users of the host; they need no names. */
const uids = { auditor: 41_001, everything: 41_002, viewer: 41_003, operator: 41_004 };

const policy = `
    users: ["**"]
    allow: [quota get, mailbox list, { command: search, masks: true }]`;

const people = (users = '["*@example.org"]'): string =>
  `admin:
  door: door.sock
  page:
    unix: page/page.sock
    mode: "0666"
    people:
      ourselves: { user: "${ourUid}", role: audit, users: ${users} }
      auditor: { user: "${uids.auditor}", role: audit, users: ["*@example.org"] }
      everything: { user: "${uids.everything}", role: audit }
      viewer: { user: "${uids.viewer}", role: view }
      operator: { user: "${uids.operator}", role: operate }
`;

/** Not in any answer to somebody who sees example.org. No id has an U, so none can hold it by chance. */
const hidden = /zuluq7|other\.test/i;

async function openPage(t: TestContext): Promise<Gateway> {
  const gateway = await openGateway(t, { policy, more: people(), files: { 'page/.keep': '' } });
  chmodSync(gateway.daemon.folder, 0o711);
  chmodSync(gateway.daemon.path('page'), 0o711);
  const client = await gateway.client();
  const commands: readonly (readonly [string, ...string[]])[] = [
    ['alice@example.org', 'quota get'],
    ['zuluq7bob@other.test', 'quota get'],
    ['zuluq7carol@other.test', 'mailbox list', 'zuluq7secret*'],
    ['alice@example.org', 'mailbox list', 'INBOX'],
    // Denied, unreadable, a question, a search of somebody else's.
    ['zuluq7bob@other.test', 'mailbox delete', 'zuluq7box'],
    ['alice@example.org', 'zuluq7unknown', 'zuluq7bob@other.test'],
    ['alice@example.org', 'dovegate can', 'zuluq7bob@other.test'],
    ['zuluq7dora@other.test', 'search', 'ALL'],
    ['', 'quota get', '-A'],
  ];
  for (const [user, ...fields] of commands) {
    await client.ask({ user, fields });
  }
  client.close();
  return gateway;
}

function withoutEnd(answer: PageAnswer | undefined): string {
  return (answer?.body ?? '').replace(/"(?:all|readTo)":\d+/, '').replace(/"lastTime":"[^"]*"/, '');
}

/** What somebody may put into a filter to find out what is hidden; and the same without a meaning. */
const hostile: readonly Record<string, unknown>[] = [
  {},
  { user: 'zuluq7bob@other.test' },
  { user: 'zuluq7*' },
  { user: '*@other.test' },
  { user: '*' },
  { user: 'zuluq7bob' },
  { principal: '*' },
  { command: 'mailbox' },
  { command: 'zuluq7unknown' },
  { command: 'dovegate' },
  { text: 'other.test' },
  { text: 'zuluq7' },
  { text: '"prev"' },
  { text: '"hash"' },
  { text: '{' },
  { policy: 'support' },
  { outcome: 'denied' },
  { outcome: 'unparsable' },
  { outcome: 'open' },
  { effect: 'destroy' },
  { backend: 'mail1' },
  { listener: 'support' },
  { sinceMs: 0, untilMs: 9e15 },
  { user: 'zuluq7*', text: 'zuluq7', outcome: 'ok' },
];

function walk(seqs: readonly number[], ids: readonly string[]): PageRequest[] {
  const requests: PageRequest[] = [];
  const cursors = [undefined, { after: 0, open: [] }, { after: 3, open: seqs }, { after: 1e15, open: seqs }];
  for (const look of ['search', 'histogram', 'export', 'extract', 'report', 'survey', 'requests'])
    for (const filter of look === 'search' ? hostile : hostile.slice(0, 4))
      for (const cursor of filter['user'] === 'zuluq7*' ? cursors : [undefined])
        requests.push([`/trail/${look}`, JSON.stringify({ filter, cursor })]);
  for (const id of ids)
    requests.push(
      ['/trail/search', JSON.stringify({ filter: { id } })],
      ['/trail/search', JSON.stringify({ filter: { session: id } })],
    );
  for (const wanted of [...seqs.map(String), ...ids, 'zuluq7'])
    requests.push(['/trail/show', JSON.stringify({ wanted })]);
  requests.push(['/trail/me', ''], ['/trail/verify', '']);
  // Broken requests are told so, and repeat nothing that was sent.
  for (const body of ['zuluq7', '{"filter":{"zuluq7":1}}', '{"filter":{"user":5}}', '[]', 'x'.repeat(70_000)])
    requests.push(['/trail/search', body], ['/trail/show', body]);
  requests.push(['/trail/zuluq7', ''], ['/trail/search?user=zuluq7', '{}'], ['/zuluq7', '']);
  return requests;
}

async function askAtSocket({ daemon, page }: Gateway): Promise<void> {
  const records = auditRecords(daemon);
  const seqs = records.map(({ seq }) => Number(seq));
  const words = records.flatMap(({ id, session }) => [id, session]);
  const ids = [...new Set(words.filter((word) => typeof word === 'string'))];
  assert.ok(
    records.some((each) => hidden.test(JSON.stringify(each))),
    'there is something to find',
  );
  const hashes = records.flatMap(({ prev, hash: own }) => [String(prev), String(own)]);
  const requests = walk(seqs, ids);
  const answers = await askPageAs(undefined, daemon.path('page/page.sock'), requests);
  for (const [at, { status, body }] of answers.entries()) {
    const what = `${requests[at]?.slice(0, 2).join(' ').slice(0, 200)}: ${status}`;
    assert.ok([200, 400, 404, 413].includes(status), `${what} ${body.slice(0, 200)}`);
    // An extract repeats the question that it answers.
    assert.doesNotMatch(body.replace(/\\"filter\\":\[.*?\],/, ''), hidden, what);
    assert.ok(!hashes.some((each) => body.includes(each)), `${what}: a hash of the chain`);
  }
  const rowsOf = (filter: object): number => {
    const at = requests.findIndex(
      ([path, body]) => path === '/trail/search' && body === JSON.stringify({ filter }),
    );
    return answers[at]?.body.split('\n').length ?? 0;
  };
  assert.ok(rowsOf({}) > 3, 'the own records are found');
  // What matches hidden records only is told as what matches nothing at all.
  const asked = (filter: object): PageRequest[] => [
    ['/trail/search', JSON.stringify({ filter })],
    ['/trail/survey', JSON.stringify({ filter: { ...filter, untilMs: Date.parse('2026-01-01') } })],
  ];
  const pairs: readonly (readonly [object, object])[] = [
    [{ user: 'zuluq7bob@other.test' }, { user: 'nobody@example.net' }],
    [{ text: 'zuluq7secret' }, { text: 'zz9secret' }],
    [{ command: 'zuluq7unknown' }, { command: 'zz9unknown' }],
    [
      { id: String(records.find((each) => each['user'] === 'zuluq7bob@other.test')?.['id']) },
      { id: '01J00000000000000000000000' },
    ],
    [{ outcome: 'unparsable' }, { outcome: 'timeout' }],
  ];
  for (const [one, other] of pairs) {
    const [first, second, third, fourth] = await askPageAs(undefined, daemon.path('page/page.sock'), [
      ...asked(one),
      ...asked(other),
    ]);
    // Each look adds a record itself.
    assert.deepEqual(
      [withoutEnd(first), withoutEnd(second)],
      [withoutEnd(third), withoutEnd(fourth)],
      JSON.stringify(one),
    );
  }
  // Each look that was answered is a record, with who and how many rows.
  const looks = auditRecords(daemon).filter(({ event, by }) => event === 'operator' && by === 'ourselves');
  const answered = answers.filter(
    ({ status }, at) => status === 200 && requests[at]?.[0] !== '/trail/me',
  ).length;
  assert.equal(looks.length, answered + pairs.length * 4);
  const one = looks.find(
    ({ action, args }) => action === 'audit-search' && JSON.stringify(args).includes('"user=zuluq7bob'),
  );
  const [uid, pid, user, ...given] = Array.isArray(one?.['args']) ? one['args'].map(String) : [];
  assert.deepEqual(
    [one?.['rows'], uid, given],
    [0, `uid=${ourUid}`, ['user=zuluq7bob@other.test', 'view=*@example.org']],
  );
  assert.match(`${pid} ${user}`, /^pid=\d+ user=\S+$/);
  const { uid: pageUid, pid: pagePid } = Object(one?.['peer']);
  assert.deepEqual([pageUid, pagePid], [ourUid, page?.pid]);
}

test('people with roles', async (t) => {
  const gateway = await openPage(t);
  const { daemon, configuration } = gateway;
  const socket = daemon.path('page/page.sock');

  await t.test(
    'a limited view shows no name of another domain, whatever is asked, and nothing that depends on one',
    () => askAtSocket(gateway),
  );

  await t.test(
    'the commands print over the socket what they print of files, as far as it is seen',
    async () => {
      const cwd = daemon.folder;
      const both = async (...args: string[]): Promise<readonly [string, string]> => {
        const [asked, read] = await Promise.all([
          runWarm(['audit', ...args, '--socket', 'page/page.sock'], { cwd }),
          runWarm(['audit', ...args, '--config', 'dovegate.yaml'], { cwd }),
        ]);
        assert.equal(asked.exit, read.exit, asked.text);
        assert.match(asked.stderr, /ourselves sees the records of \*@example\.org only/);
        return [asked.stdout.toString(), read.stdout.toString()];
      };
      for (const args of [
        ['search', '--user', 'alice@example.org', '--outcome', 'ok'],
        ['search', '--user', 'alice@example.org', '--outcome', 'ok', '--json'],
        ['export', '--user', 'alice@example.org', '--outcome', 'ok'],
      ]) {
        const [asked, read] = await both(...args);
        assert.match(asked, /alice@example\.org/);
        // Commands for all users are found in the files as well. Names of temporary directories may have "-A", too.
        const seen = read.split('\n').filter((line) => !/other\.test|[ "]-A[ "]/.test(line));
        assert.deepEqual(asked.split('\n'), seen, args.join(' '));
      }
      const [own] = auditRecords(daemon).filter(
        (each) => each['command'] === 'quota get' && each['user'] === 'alice@example.org',
      );
      const [shown, whole] = await both('show', String(own?.['id']), '--json');
      const {
        prev: _p,
        hash: _h,
        ...rest
      } = JSON.parse(whole.split('\n').find((line) => line.includes('"admission"')) ?? '');
      assert.deepEqual(JSON.parse(shown.split('\n')[0] ?? ''), rest);
      const asked = (...args: string[]) => runWarm(['audit', ...args, '--socket', 'page/page.sock'], { cwd });
      const report = await asked('report', '--mailbox', 'alice@example.org');
      assert.equal(report.exit, 1, report.text);
      assert.match(
        report.text,
        /NOT proved complete [^]*\n  ourselves sees the records of \*@example\.org only/,
      );
      assert.match(report.text, /1 requester, 2 commands, none of them showed content/);
      assert.doesNotMatch(report.text, hidden);
      const extract = await asked('export', '--user', 'alice@example.org', '--with-proof');
      assert.equal(extract.exit, 0, extract.text);
      assert.match(extract.text, /2 commands in an extract signed by \S+; it is no proof by the chain/);
      assert.equal(extract.stdout.toString().match(/^\* \{/gm)?.length, 2);
      writeFileSync(join(cwd, 'extract.txt'), extract.stdout);
      const key = daemon.path('audit/key.pub');
      const checked = await runWarm(['audit', 'check-proof', 'extract.txt', '--key', key], { cwd });
      assert.match(checked.text, /: an extract of 2 rows in 1 part, [^]*\nproved\n$/);
      assert.doesNotMatch(extract.text, hidden);
      for (const more of [['--whole'], ['--key', 'x']])
        assert.equal((await asked('export', '--with-proof', ...more)).exit, 64);
      assert.equal((await asked('search', '--config', 'dovegate.yaml')).exit, 64);
      const other = auditRecords(daemon).find((each) => each['user'] === 'zuluq7bob@other.test');
      const gone = await runWarm(['audit', 'show', String(other?.['id']), '--socket', 'page/page.sock'], {
        cwd,
      });
      assert.equal(gone.exit, 1, gone.text);
      const nothing = await runWarm(['audit', 'search', '--user', 'zuluq7*', '--socket', 'page/page.sock'], {
        cwd,
      });
      assert.match(nothing.text, /no command for "zuluq7\*" was found among [\d,]+ records from/);
      assert.doesNotMatch(nothing.text, /zuluq7bob|other\.test/);
    },
  );

  await t.test(
    'who is taken out of the configuration gets no answer any more; who is narrowed sees less',
    async () => {
      const search: PageRequest = ['/trail/search', '{}'];
      const ask = async (): Promise<PageAnswer | undefined> =>
        (await askPageAs(undefined, socket, [search]))[0];
      /** The page gets its settings a moment after the reload. */
      const askUntil = async (isIt: (answer: PageAnswer) => boolean, what: string): Promise<PageAnswer> => {
        let answer = await ask();
        await until(async () => {
          answer = await ask();
          return answer !== undefined && isIt(answer);
        }, what);
        return answer ?? { status: 0, body: '' };
      };
      const reload = async (more: string): Promise<void> => {
        await daemon.reload(configuration({ policy, more }));
      };
      assert.match((await ask())?.body ?? '', /alice@example\.org/);
      await reload(people('["bob@example.org"]'));
      const narrowed = await askUntil(({ body }) => !body.includes('alice'), 'the narrowed view');
      assert.equal(narrowed.status, 200, narrowed.body);
      await reload(people().replace(/\n {6}ourselves: .*/, ''));
      const out = await askUntil(({ status }) => status !== 200, 'the refusal');
      assert.equal(out.status, 403);
      assert.match(out.body, /is not in admin\.page\.people/);
      assert.ok(
        !daemon.logs.some(({ event }) => event === 'restart-needed'),
        'people come and go without a restart',
      );
    },
  );
});
