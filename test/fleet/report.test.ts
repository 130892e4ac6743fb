// Goal: a report of one mailbox over all hosts has the commands of all of them, and says of each host whether it is proved complete, and
// why not: one that is whole, one with a hole, one that is silent, one that was never there, one whose key is not listed. Phases: all of
// them; the whole one alone; a hole that a person accepted; a state that somebody emptied of its findings. What must not happen: "complete"
// where a record may be missing.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openNatsServer } from '../kit/nats.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';
import { openAdministrator } from './administrator.js';
import { openDesk, skipOf } from './fleet-lab.js';
import { HandJournal } from './hand-journal.js';

const alice = 'alice@example.org';

interface Verdict {
  readonly complete: boolean;
  readonly commands: number;
  readonly people: number;
  readonly sentences: readonly string[];
  readonly doubts: readonly { readonly code: string; readonly text: string; readonly serious: boolean }[];
  readonly hosts: readonly {
    readonly host: string;
    readonly complete: boolean;
    readonly seq?: number;
    readonly signed_seq?: number;
    readonly signed_by?: string;
    readonly doubts: Verdict['doubts'];
  }[];
}
type Row = Readonly<Record<string, unknown>>;

void test('a report of one mailbox over all hosts', { timeout: 300_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['damaged', 'silent', 'unkeyed', 'whole'] });
  if (skipOf(t, nats)) return;
  const admin = await openAdministrator(t, nats);
  await admin.createStreams();
  const make = (host: string): HandJournal => {
    const gate = new HandJournal({ host });
    for (let count = 0; count < 3; count += 1) gate.exchange({ user: alice, users: [alice] });
    gate.exchange({ user: 'bob@example.org', users: ['bob@example.org'] });
    gate.exchange({ user: undefined, users: ['*'], command: 'quota recalc', args: ['-A'] });
    gate.checkpoint();
    return gate;
  };
  const [damaged, silent, unkeyed, whole] = ['damaged', 'silent', 'unkeyed', 'whole'].map(make);
  assert.ok(damaged && silent && unkeyed && whole);
  const listed = (gate: HandJournal, silentAfter = '1h') => ({
    key: gate.signKey?.key ?? '',
    silent_after: silentAfter,
  });
  const hosts = {
    damaged: listed(damaged),
    silent: listed(silent, '1s'),
    unkeyed: { silent_after: '1h' },
    whole: listed(whole),
    absent: { silent_after: '1h' },
  };
  const desk = openDesk(nats, hosts);
  await admin.publish(silent.block(), whole.block(), unkeyed.block());
  await admin.publish(damaged.block(1, 3), damaged.block(6));

  const report = async (...flags: string[]) => {
    const done = await desk.run('report', '--mailbox', alice, '--json', ...flags);
    const [first = '', ...rest] = done.stdout.toString().trimEnd().split('\n');
    const { verdict }: { verdict: Verdict } = JSON.parse(first);
    const of = (host: string) => {
      const found = verdict.hosts.find((one) => one.host === host);
      return {
        complete: found?.complete,
        codes: found?.doubts.filter(({ serious }) => serious).map(({ code }) => code),
      };
    };
    return { exit: done.exit, text: done.text, verdict, of, rows: rest.map((line): Row => JSON.parse(line)) };
  };
  const countsOf = (rows: readonly Row[]) =>
    ['absent', 'damaged', 'silent', 'unkeyed', 'whole'].map(
      (host) => rows.filter((row) => row['host'] === host).length,
    );

  await t.test('each host has its verdict, before the verifier has read anything', async () => {
    await until(async () => (await report()).of('silent').codes?.includes('silent') === true, 'silent');
    const { exit, verdict, of, rows, text } = await report();
    assert.equal(exit, 1, text);
    assert.equal(verdict.complete, false);
    // Records 4 and 5 of the damaged one are its second command.
    assert.deepEqual(countsOf(rows), [0, 3, 4, 4, 4]);
    assert.equal(verdict.commands, 15);
    assert.deepEqual(of('whole'), { complete: true, codes: [] });
    assert.deepEqual(of('silent'), { complete: false, codes: ['silent'] });
    assert.deepEqual(of('damaged'), { complete: false, codes: ['fault'] });
    assert.deepEqual(of('unkeyed'), { complete: false, codes: ['unsigned'] });
    assert.deepEqual(of('absent'), { complete: false, codes: ['empty'] });
    assert.ok(
      verdict.doubts.some(({ text: why }) =>
        why.startsWith('damaged: missing: seq 4: records 4 to 5 are missing'),
      ),
      text,
    );
    const kept = verdict.hosts.find(({ host }) => host === 'whole');
    assert.deepEqual([kept?.seq, kept?.signed_seq, kept?.signed_by], [12, 12, whole.signKey?.key]);
  });

  await t.test('the rows of a host are those that its own journal gives', async () => {
    const directory = join(nats.folder, 'own');
    mkdirSync(directory);
    writeFileSync(join(directory, '00000001.jsonl'), whole.lines.join(''));
    const own = await runWarm(['audit', 'report', '--mailbox', alice, '--json', directory]);
    const rows = own.stdout.toString().trimEnd().split('\n').slice(1);
    const found = (await report()).rows.filter((row) => row['host'] === 'whole');
    assert.deepEqual(
      found,
      rows.map((line): Row => ({ host: 'whole', ...JSON.parse(line) })),
    );
  });

  await t.test('for people, a spreadsheet, and to print', async () => {
    const table = await desk.run('report', '--mailbox', alice);
    assert.equal(table.exit, 1);
    assert.match(table.text, /^NOT proved complete from .*: \d+ reasons stand below; what was found: /m);
    assert.match(table.text, /^ {2}whole: complete to .* UTC \(record 12\), signed to record 12 by /m);
    assert.match(table.text, /^ {2}silent: NOT proved complete, verified to .* UTC \(record 12\)/m);
    assert.match(table.text, /^ {2}absent: NOT proved complete: no record$/m);
    assert.match(table.text, /^DAY +HOST +REQUESTER /m);
    assert.match(table.text, /^\S+ +whole +anna@support /m);
    const csv = await desk.run('report', '--mailbox', alice, '--csv');
    assert.match(csv.stdout.toString(), /^time,host,requester,class,/);
    assert.match(csv.stdout.toString(), /^[^,]+,,dovegate on [^,]+,verdict,,"silent: NOT proved complete/m);
    const html = await desk.run('report', '--mailbox', alice, '--html');
    assert.match(html.stdout.toString(), /<th>Host<\/th><th>Requester<\/th>/);
    assert.match(
      html.stdout.toString(),
      /<td data-name="Host">whole<\/td><td data-name="Requester">anna@support<\/td>/,
    );
    assert.equal((await desk.run('report', '--mailbox', '*')).exit, 64);
    assert.equal((await desk.run('report')).exit, 64);
  });

  await t.test('after a verify: the same, by its state and its index', async () => {
    assert.equal((await desk.run('verify')).exit, 1);
    const { exit, of, rows } = await report();
    assert.equal(exit, 1);
    assert.deepEqual(countsOf(rows), [0, 3, 4, 4, 4]);
    assert.deepEqual(of('whole'), { complete: true, codes: [] });
    assert.deepEqual(of('damaged').codes, ['fault']);
    // A time that ended before it went silent: all of it came.
    const ended = await report('--from', '2026-01-01', '--to', '2026-01-02');
    assert.deepEqual(ended.of('silent').codes, ['begins-later']);
    assert.deepEqual(countsOf(ended.rows), [0, 0, 0, 0, 0]);
  });

  await t.test('a hole that a person accepted is still a hole', async () => {
    await desk.run('verify', '--accept');
    const { of, text } = await report();
    assert.deepEqual(of('damaged'), { complete: false, codes: ['fault'] }, text);
    assert.match(text, /damaged: missing: seq 4: .* \(accepted on 20\d\d-\d\d-\d\d\)/);
  });

  await t.test('a state that somebody emptied of its findings: --whole does not need it', async () => {
    const file = join(desk.state, 'state.json');
    const state: { fleet: Readonly<Record<string, unknown>> } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, `${JSON.stringify({ ...state, fleet: { ...state.fleet, findings: [] } })}\n`);
    const { of } = await report('--whole');
    assert.deepEqual(of('damaged'), { complete: false, codes: ['fault'] });
  });

  await t.test('the whole host alone: proved complete', async () => {
    const before = join(nats.folder, 'fleet-verifier.yaml');
    await admin.deleteStreams();
    await admin.createStreams();
    await admin.publish(whole.block());
    const alone = openDesk(nats, { whole: hosts.whole }, 'admin');
    assert.notEqual(alone.config, before);
    const done = await alone.run('report', '--mailbox', alice);
    assert.equal(done.exit, 0, done.text);
    assert.match(done.text, /^complete from .* on 1 host, nothing missing, 1 requester, 4 commands/m);
    const { time: last }: { time: string } = JSON.parse(whole.lines.at(-1) ?? '');
    const end = last.slice(0, 19).replace('T', ' ');
    assert.ok(done.text.includes(` to ${end} UTC on 1 host, `), done.text);
    // The host sends no more: of a time after its last record, nothing is proved.
    const later = await alone.run('report', '--mailbox', alice, '--from', last);
    assert.equal(later.exit, 1, later.text);
    assert.match(later.text, /^NOT proved complete from .*: one reason stands below; /m);
    // What the verifier read of the stream before is gone.
    const { exit, of, text } = await report();
    assert.equal(exit, 1);
    assert.deepEqual(of('silent').complete, false, text);
    assert.match(text, /the stream DOVEGATE_AUDIT was made again/);
  });
});
