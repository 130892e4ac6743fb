// Goal: two tenants of a provider ask at the socket of a fleet's mirror, each known by the kernel, and each gets the rows of their own mail
// users of all hosts, as at the socket of a gate. Phases: what each sees; an attack by one of them with every request, handle and filter;
// the commands of audit over the socket; a reload that takes a person out. What must not happen: a name of another tenant, or of a host
// where nothing is theirs, in any byte of an answer; an answer that depends on what is hidden; a look without a line in the log; a file
// that a link in the mirror leads to.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { askPageAs, type PageAnswer, type PageRequest } from '../kit/ask-page.js';
import { openFolder } from '../kit/folder.js';
import { openNatsServer } from '../kit/nats.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';
import { openAdministrator } from './administrator.js';
import { openDesk, skipOf } from './fleet-lab.js';
import { HandJournal } from './hand-journal.js';
import { startWatch } from './watching.js';

const ourUid = process.getuid?.() ?? -1;
const uids = { tenant: 41_001, other: 41_002, stranger: 41_003, everything: 41_004 };
const hosts = ['gate1', 'gate2', 'zuluq7gate'] as const;
const hidden = /zuluq7|other\.test/i;
const mine = ['alice@example.org'];
const theirs = ['zuluq7bob@other.test'];

/** What a tenant may see, and around it all that they may not. */
function journalOf(host: string): HandJournal {
  const gate = new HandJournal({ host });
  const exchange = (users: readonly unknown[], more: object = {}): void =>
    void gate.exchange(Object({ user: String(users[0]), users, ...more }));
  if (host !== 'zuluq7gate') {
    exchange(mine);
    exchange(mine, { command: 'mailbox list', args: ['--', `INBOX of ${host}`] });
  }
  exchange(theirs);
  // Of both, of all, by masks, with a list that was cut, denied, unreadable, a question, by a key, a similar name.
  exchange([...mine, ...theirs], { args: ['zuluq7both'] });
  exchange(['*'], { user: undefined, command: 'quota recalc', args: ['-A', 'zuluq7all'] });
  exchange(['*@example.org', 'zuluq7*'], { user: '*', args: ['zuluq7mask'] });
  exchange(['a*'], { args: ['zuluq7prefix'] });
  exchange([...mine, { more: 3 }], { args: ['zuluq7cut'] });
  exchange(mine, { user: 'zuluq7bob@other.test', args: ['zuluq7alias'] });
  exchange(['alice@example.org@other.test'], { args: ['zuluq7similar'] });
  exchange(['alice@example.org.other.test'], { args: ['zuluq7longer'] });
  exchange([], { user: undefined, command: 'dovegate can', args: ['zuluq7bob@other.test'] });
  exchange(mine, { args: undefined, command: 'zuluq7unparsed' });
  exchange(theirs, { principal: 'zuluq7key@api', decision: 'deny' });
  gate.seal({
    time: Date.now(),
    event: 'operator',
    action: 'audit-search',
    by: 'zuluq7root',
    args: ['user=zuluq7bob@other.test'],
  });
  gate.seal({ time: Date.now(), event: 'session-open', session: 'S', principal: 'zuluq7anna@support' });
  gate.checkpoint();
  return gate;
}

const hostile: readonly Record<string, unknown>[] = [
  {},
  { user: 'zuluq7bob@other.test' },
  { user: 'zuluq7*' },
  { user: '*' },
  { principal: '*' },
  { text: 'zuluq7' },
  { text: '"hash"' },
  { outcome: 'denied' },
  { outcome: 'open' },
  { kind: 'all' },
  { by: 'zuluq7root' },
  { sinceMs: 0, untilMs: 9e15 },
];

type Ask = (uid: number | undefined, requests: readonly PageRequest[]) => Promise<readonly PageAnswer[]>;

async function handlesOf(ask: Ask, uid: number | undefined): Promise<readonly string[]> {
  const [me] = await ask(uid, [['/trail/me', '']]);
  assert.equal(me?.status, 200, me?.body);
  const { journals }: { readonly journals: readonly string[] } = JSON.parse(me.body);
  return journals;
}

const search = (handle: string, filter: object): PageRequest => [
  `/journals/${handle}/trail/search`,
  JSON.stringify({ filter }),
];

void test('tenants of a fleet at the socket of its mirror', { timeout: 600_000 }, async (t) => {
  if (ourUid !== 0) return t.skip('only root can be two other accounts');
  const nats = await openNatsServer(t, { gates: hosts });
  if (skipOf(t, nats)) return;
  const admin = await openAdministrator(t, nats);
  await admin.createStreams();
  const gates = hosts.map(journalOf);
  for (const gate of gates) await admin.publish(gate.block());
  const folder = openFolder(t);
  chmodSync(folder, 0o711);
  const socket = join(folder, 'people.sock');
  const desk = openDesk(nats, Object.fromEntries(hosts.map((host) => [host, {}])));
  const people = (ours = ['*@example.org']) => ({
    people_socket: { unix: socket, mode: '0666' },
    people: {
      ourselves: { user: String(ourUid), role: 'audit', users: ours },
      tenant: { user: String(uids.tenant), role: 'audit', users: ['*@example.org'] },
      other: { user: String(uids.other), role: 'audit', users: ['*@other.test'] },
      everything: { user: String(uids.everything), role: 'audit' },
    },
  });
  const listed = Object.fromEntries(gates.map((gate) => [gate.host, { key: gate.signKey?.key ?? '' }]));
  desk.write(listed, people());
  await desk.run('verify');
  const mirror = join(desk.state, 'journals');
  assert.deepEqual(readdirSync(mirror).toSorted(), [...hosts]);
  // What somebody who can write there could leave: links, and a host whose name is none.
  const outside = join(folder, 'outside', 'ab'.repeat(16));
  mkdirSync(outside, { recursive: true });
  const secret = new HandJournal({ host: 'gate1' });
  secret.exchange({ user: 'alice@example.org', users: mine, args: ['zuluq7outside'] });
  writeFileSync(join(outside, '00000001.jsonl'), secret.lines.join(''));
  symlinkSync(join(folder, 'outside'), join(mirror, 'linkedhost'));
  symlinkSync(outside, join(mirror, 'gate1', 'ab'.repeat(16)));
  mkdirSync(join(mirror, 'gate2', 'cd'.repeat(16)));
  symlinkSync(join(outside, '00000001.jsonl'), join(mirror, 'gate2', 'cd'.repeat(16), '00000001.jsonl'));
  mkdirSync(join(mirror, 'zuluq7 odd\n"name', 'ef'.repeat(16)), { recursive: true });

  const watching = startWatch(nats, desk, 'people');
  await until(
    () => watching.of('started').length === 1,
    () => watching.errors(),
  );
  const ask: Ask = (uid, requests) => askPageAs(uid, socket, requests);

  await t.test('each sees their own rows of all hosts; a stranger nothing', async () => {
    const rowsOf = async (uid: number): Promise<readonly string[]> => {
      const handles = await handlesOf(ask, uid);
      const answers = await ask(
        uid,
        handles.map((handle) => search(handle, {})),
      );
      return answers.flatMap(({ body }) => {
        if (!body.startsWith('{')) return ['unreadable'];
        const lines = body.trimEnd().split('\n');
        const { end }: { end: { rows: number; host?: string } } = JSON.parse(lines.at(-1) ?? '');
        return end.host === undefined ? [] : [`${end.host} ${end.rows}`];
      });
    };
    assert.deepEqual((await rowsOf(uids.tenant)).toSorted(), ['gate1 2', 'gate2 2', 'unreadable']);
    assert.deepEqual((await rowsOf(uids.other)).toSorted(), [
      'gate1 2',
      'gate2 2',
      'unreadable',
      'zuluq7gate 2',
    ]);
    const [refused] = await ask(uids.stranger, [['/trail/me', '']]);
    assert.equal(refused?.status, 403);
    assert.match(refused.body, /is not in people of fleet\.yaml/);
    const unknown = await ask(uids.stranger, [search('A'.repeat(22), {}), ['/trail/zuluq7', '']]);
    assert.deepEqual(
      unknown.map(({ status }) => status),
      [403, 403],
    );
  });

  await t.test('nothing of others, whatever is asked', async () => {
    const handles = await handlesOf(ask, uids.tenant);
    const ids = gates.flatMap(({ lines }) => lines.flatMap((line) => /"id":"(\w+)"/.exec(line)?.[1] ?? []));
    const requests: PageRequest[] = [['/trail/me', '']];
    for (const handle of handles) {
      const at = (look: string, body: unknown): PageRequest => [
        `/journals/${handle}/trail/${look}`,
        JSON.stringify(body),
      ];
      for (const look of [
        'search',
        'export',
        'report',
        'survey',
        'requests',
        'histogram',
        'extract',
        'verify',
      ])
        for (const filter of look === 'search' ? hostile : hostile.slice(0, 4))
          requests.push(at(look, { filter }));
      for (const cursor of [
        { after: 0, open: [] },
        { after: 4, open: [2, 4, 6, 8] },
        { after: 1e15, open: [] },
      ])
        requests.push(at('search', { filter: { user: 'zuluq7*' }, cursor }));
      requests.push(at('search', { filter: {}, newest: { rows: 50 } }));
      for (const id of [...new Set(ids)].slice(0, 6))
        requests.push(at('show', { wanted: id }), at('search', { filter: { id } }));
      for (const seq of [1, 2, 3, 6, 9, 12, 20, 33]) requests.push(at('show', { wanted: String(seq) }));
      requests.push([`/journals/${handle}/trail/me`, ''], [`/journals/${handle}/page/verify`, '']);
      requests.push([`/journals/${handle}/trail/search`, '{"filter":{"zuluq7":1}}']);
    }
    requests.push(
      ['/trail/search', '{}'],
      ['/page/open', ''],
      ['/page/verify', ''],
      ['/journals/zuluq7gate/trail/search', '{}'],
      ['/journals/../../trail/search', '{}'],
      [`/journals/${'A'.repeat(22)}/trail/search`, '{}'],
    );
    const answers = await ask(uids.tenant, requests);
    const hashes = gates.flatMap(({ lines }) => lines.map((line) => /"hash":"(\w+)"/.exec(line)?.[1] ?? '-'));
    for (const [at, { status, body }] of answers.entries()) {
      const what = `${requests[at]?.slice(0, 2).join(' ').slice(0, 200)}: ${status} ${body.slice(0, 200)}`;
      assert.ok([200, 400, 404, 503].includes(status), what);
      assert.doesNotMatch(body, hidden, what);
      assert.ok(!hashes.some((hash) => body.includes(hash)), `${what}: a hash of the chain`);
      assert.ok(!body.includes(desk.state), `${what}: a path`);
    }
    assert.ok(answers.filter(({ status }) => status === 200).length > 100);
    // Handles of one person are no others' and name nothing.
    assert.ok(handles.every((handle) => /^[\w-]{22}$/.test(handle)));
    // Each look that was answered is in the log, with the view.
    const looks = (): number => watching.of('look').filter(({ by }) => by === 'tenant').length;
    const answered = answers.filter(({ status }, at) => status === 200 && requests[at]?.[0] !== '/trail/me');
    assert.equal(looks(), answered.length + hosts.length);
    const one = watching.of('look').find(({ by }) => by === 'tenant');
    assert.deepEqual([one?.['action'], one?.['view']], ['audit-search', ['*@example.org']]);
    assert.match(String(Object(one?.['from'])[0]), /^uid=41001$/);
  });

  await t.test('an answer does not depend on what is hidden', async () => {
    for (const handle of await handlesOf(ask, uids.tenant)) {
      const of = (filter: object): PageRequest[] => [
        search(handle, filter),
        [`/journals/${handle}/trail/survey`, JSON.stringify({ filter })],
        [`/journals/${handle}/trail/requests`, JSON.stringify({ filter: {} })],
      ];
      const found = await ask(uids.tenant, of({ user: 'zuluq7bob@other.test' }));
      const nothing = await ask(uids.tenant, of({ user: 'nobody@example.net' }));
      assert.deepEqual(found, nothing);
    }
  });

  await t.test('a link among the segments is not followed', async () => {
    const linked = await handlesOf(ask, uids.everything);
    const answers = await ask(
      uids.everything,
      linked.map((handle) => search(handle, {})),
    );
    assert.equal(answers.filter(({ status }) => status === 503).length, 1);
    assert.doesNotMatch(answers.map(({ body }) => body).join(''), /zuluq7outside/);
    rmSync(join(mirror, 'gate2', 'cd'.repeat(16)), { recursive: true });
  });

  await t.test('the commands of audit, with the host in each row', async () => {
    const audit = (...words: string[]) => runWarm(['audit', ...words, '--socket', socket]);
    const searched = await audit('search');
    assert.equal(searched.exit, 0, searched.text);
    assert.match(searched.stderr, /ourselves sees the records of \*@example\.org only/);
    const [head = '', ...rows] = searched.stdout.toString().trimEnd().split('\n');
    assert.match(head, /^HOST +SEQ/);
    assert.deepEqual(
      rows.map((row) => row.split(/ +/)[0]),
      ['gate1', 'gate1', 'gate2', 'gate2'],
    );
    const exported = await audit('export', '--format', 'jsonl');
    const lines = exported.stdout.toString().trimEnd().split('\n');
    const one: { host?: string; id?: string } = JSON.parse(lines[0] ?? '');
    assert.deepEqual([lines.length, one.host], [4, 'gate1']);
    const csv = await audit('export');
    assert.match(csv.stdout.toString(), /^host,/);
    const shown = await audit('show', one.id ?? '');
    assert.equal(shown.exit, 0, shown.text);
    assert.match(shown.text, /on gate1[^]*exchange /);
    const access = await audit('access');
    assert.equal(access.exit, 0, access.text);
    const report = await audit('report', '--mailbox', 'alice@example.org', '--json');
    assert.equal(report.exit, 1, report.text);
    const [verdict = '', ...touches] = report.stdout.toString().trimEnd().split('\n');
    const { verdict: judged }: { verdict: { complete: boolean; doubts: { code: string }[] } } =
      JSON.parse(verdict);
    assert.equal(judged.complete, false);
    const codes = judged.doubts.map(({ code }) => code);
    assert.ok(codes.includes('unverified') && codes.includes('limited-view'), verdict);
    const touched = touches.map((line) => String(Object(JSON.parse(line)).host));
    assert.deepEqual(touched, ['gate1', 'gate1', 'gate2', 'gate2']);
    const table = await audit('report', '--mailbox', 'alice@example.org');
    assert.match(table.text, /HOST/);
    const foreign = await audit('report', '--mailbox', 'zuluq7bob@other.test');
    assert.equal(foreign.exit, 77, foreign.text);
    for (const refused of [await audit('export', '--with-proof'), await audit('verify')])
      assert.match(refused.text, /socket of a fleet/);
    for (const { text } of [searched, exported, csv, shown, access, report, table])
      assert.doesNotMatch(text, hidden);
    const none = await audit('search', '--user', 'zuluq7bob@other.test');
    assert.match(none.stderr, /no command for "zuluq7bob@other\.test" was found among \d+ records/);
  });

  await t.test('somebody who sees all has the host of every journal', async () => {
    const handles = await handlesOf(ask, uids.everything);
    const answers = await ask(
      uids.everything,
      handles.map((handle) => search(handle, { user: 'zuluq7*' })),
    );
    const whole = answers.map(({ body }) => body).join('');
    assert.match(whole, /"host":"zuluq7gate"/);
    assert.doesNotMatch(whole, /zuluq7outside|linkedhost|odd/);
  });

  await t.test('a reload changes who sees what, and a broken file changes nothing', async () => {
    writeFileSync(desk.config, 'hosts: {');
    watching.child.kill('SIGHUP');
    await until(
      () => watching.of('reload-refused').length === 1,
      () => watching.errors(),
    );
    assert.equal((await handlesOf(ask, uids.tenant)).length, hosts.length);
    const next = people(['*@other.test']);
    const { tenant: _, ...rest } = next.people;
    desk.write(listed, { ...next, people: rest });
    watching.child.kill('SIGHUP');
    await until(
      () => watching.of('reloaded').length === 1,
      () => watching.errors(),
    );
    const [gone] = await ask(uids.tenant, [['/trail/me', '']]);
    assert.equal(gone?.status, 403);
    assert.equal((await handlesOf(ask, uids.other)).length, hosts.length);
    const changed = await runWarm(['audit', 'search', '--socket', socket]);
    assert.match(changed.stderr, /ourselves sees the records of \*@other\.test only/);
    assert.match(changed.text, /zuluq7gate/);
    desk.write(listed, { ...next, people_socket: { unix: `${socket}2`, mode: '0666' } });
    watching.child.kill('SIGHUP');
    await until(
      () => watching.of('reload-refused').length === 2,
      () => watching.errors(),
    );
    assert.match(String(watching.of('reload-refused')[1]?.['text']), /a restart is needed/);
  });

  assert.equal((await watching.stop()).code, 0);
});
