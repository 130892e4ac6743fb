// Goal: a report of one mailbox over the mirror of a fleet has the commands of all hosts, and says of each host whether it is proved
// complete, and why not: one that is whole, one with a hole, one that was never there, one whose key is not listed. Phases: before the
// verifier ran; all of them; a hole that a person accepted; the whole one alone, when the store is gone. What must not happen: "complete"
// where a record may be missing.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runWarm } from '../../kit/gate/warm-program.js';
import { ends } from '../../kit/plain/program.js';
import { openDesk, openTrail } from './fleet-lab.js';
import { HandJournal, putAll } from './hand-journal.js';

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
  const trail = openTrail(t);
  const make = (host: string): HandJournal => {
    const gate = new HandJournal({ host });
    for (let count = 0; count < 3; count += 1) {
      gate.exchange({ user: alice, users: [alice] });
      if (count === 0) gate.checkpoint();
    }
    gate.exchange({ user: 'bob@example.org', users: ['bob@example.org'] });
    gate.exchange({ user: undefined, users: ['*'], command: 'quota recalc', args: ['-A'] });
    gate.checkpoint();
    return gate;
  };
  const [damaged, silent, unkeyed, whole] = ['damaged', 'silent', 'unkeyed', 'whole'].map(make);
  assert.ok(damaged && silent && unkeyed && whole);
  const keyOf = ({ signKey }: HandJournal) => ({ key: signKey?.key ?? '', silent_after: '1h' });
  const hosts = {
    damaged: keyOf(damaged),
    silent: { ...keyOf(silent), silent_after: '1s' },
    unkeyed: { silent_after: '1h' },
    whole: keyOf(whole),
    absent: { silent_after: '1h' },
  };
  const desk = openDesk(t, trail, hosts);
  await putAll(trail.store, [silent.block(), whole.block(), unkeyed.block()]);
  await putAll(trail.store, [damaged.block(1, 4), damaged.block(7)]);

  const report = async (...flags: string[]) => {
    const done = await desk.read('report', '--mailbox', alice, '--json', ...flags);
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

  await t.test('before the verifier ran there is nothing to report on', async () => {
    const early = await ends(78, desk.read('report', '--mailbox', alice));
    assert.match(early.stderr, /"dovegate audit fleet verify" makes it/);
  });

  await t.test('each host has its verdict', async () => {
    const verified = await ends(1, desk.run('verify'));
    assert.match(verified.text, /^unkeyed: nothing of it is proved: fleet\.yaml lists no key of it$/m);
    const { exit, verdict, of, rows, text } = await report();
    assert.equal(exit, 1, text);
    assert.equal(verdict.complete, false);
    // Records 5 and 6 of the damaged one are its second command.
    assert.deepEqual(countsOf(rows), [0, 3, 4, 4, 4]);
    assert.equal(verdict.commands, 15);
    assert.deepEqual(of('whole'), { complete: true, codes: [] });
    assert.deepEqual(of('silent'), { complete: true, codes: [] });
    assert.deepEqual(of('damaged'), { complete: false, codes: ['fault'] });
    assert.deepEqual(of('unkeyed'), { complete: false, codes: ['unsigned'] });
    assert.deepEqual(of('absent'), { complete: false, codes: ['empty'] });
    assert.ok(
      verdict.doubts.some(({ text: why }) =>
        /^damaged: .*: seq 5: missing: records 5 to 6 are missing/.test(why),
      ),
      text,
    );
    const kept = verdict.hosts.find(({ host }) => host === 'whole');
    assert.deepEqual([kept?.seq, kept?.signed_seq, kept?.signed_by], [13, 13, whole.signKey?.key]);
  });

  await t.test('a view of some users shows what it would show on a gate, whatever is asked', async () => {
    const view = ['--view', 'alice@*'] as const;
    const rowsOf = async (...args: string[]): Promise<readonly Row[]> => {
      const { stdout } = await desk.read('search', '--json', ...args);
      const lines = stdout.toString().split('\n');
      return lines.filter((line) => line !== '').map((line): Row => JSON.parse(line));
    };
    const [all, seen] = [await rowsOf(), await rowsOf(...view)];
    const isOf = (name: string) => (row: Row) => JSON.stringify(row['users']) === JSON.stringify([name]);
    const own = all.filter(isOf(alice));
    assert.ok(own.length > 0 && own.length < all.length);
    assert.deepEqual(
      seen.map(({ id }) => id),
      own.map(({ id }) => id),
    );
    for (const row of seen) assert.ok(!('prev' in row) && !('hash' in row) && isOf(alice)(row));
    const other = all.find(isOf('bob@example.org'));
    assert.deepEqual(await rowsOf(...view, '--user', 'bob*'), []);
    const hidden = await desk.read('search', '--user', 'bob@example.com', ...view);
    assert.doesNotMatch(hidden.text, /did you mean/);
    assert.match(hidden.text, /--view sees the records of alice@\* only/);
    await ends(0, desk.read('show', String(other?.['id'])));
    await ends(1, desk.read('show', String(other?.['id']), ...view));
    const csv = await desk.read('export', ...view);
    assert.equal(csv.stdout.toString().trimEnd().split('\r\n').length, own.length + 1);
    assert.doesNotMatch(csv.stdout.toString(), /bob@/);
    await ends(0, desk.read('access', ...view));
    await ends(64, desk.read('export', '--with-proof', ...view));
    await ends(64, runWarm(['audit', 'search', '--socket', 'x.sock', ...view]));
  });

  await t.test('the rows of a host are those that its own journal gives', async () => {
    const directory = desk.at('own');
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
    const table = await ends(1, desk.read('report', '--mailbox', alice));
    assert.match(table.text, /^NOT proved complete from .*: \d+ reasons stand below; what was found: /m);
    assert.match(table.text, /^ {2}whole: complete to .* UTC \(record 13\), signed to record 13 by /m);
    assert.match(table.text, /^ {2}damaged: NOT proved complete, verified to .* UTC \(record 13\)/m);
    assert.match(table.text, /^ {2}absent: NOT proved complete: no record$/m);
    assert.match(table.text, /^DAY +HOST +REQUESTER /m);
    assert.match(table.text, /^\S+ +whole +anna@support /m);
    const csv = await desk.read('report', '--mailbox', alice, '--csv');
    assert.match(csv.stdout.toString(), /^time,host,requester,class,/);
    assert.match(csv.stdout.toString(), /^[^,]+,,dovegate on [^,]+,verdict,,"damaged: NOT proved complete/m);
    const html = await desk.read('report', '--mailbox', alice, '--html');
    assert.match(html.stdout.toString(), /<th>Host<\/th><th>Requester<\/th>/);
    assert.match(
      html.stdout.toString(),
      /<td data-name="Host">whole<\/td><td data-name="Requester">anna@support<\/td>/,
    );
    await ends(64, desk.read('report', '--mailbox', '*'));
    await ends(64, desk.read('report'));
  });

  await t.test('of a time before the first record nothing is proved', async () => {
    const ended = await report('--from', '2026-01-01', '--to', '2026-01-02');
    assert.deepEqual(ended.of('whole').codes, ['begins-later']);
    assert.deepEqual(countsOf(ended.rows), [0, 0, 0, 0, 0]);
  });

  await t.test('a hole that a person accepted is still a hole', async () => {
    await desk.run('verify', '--accept');
    const { of, text } = await report();
    assert.deepEqual(of('damaged'), { complete: false, codes: ['fault'] }, text);
  });

  await t.test('the whole host alone: proved complete, and the store is not asked', async () => {
    const one = openTrail(t);
    await putAll(one.store, [whole.block()]);
    const alone = openDesk(t, one, { whole: hosts.whole });
    await ends(0, alone.run('verify'));
    rmSync(one.root, { recursive: true });
    const done = await ends(0, alone.read('report', '--mailbox', alice));
    assert.match(done.text, /^complete from .* on 1 host, nothing missing, 1 requester, 4 commands/m);
    const { time: last }: { time: string } = JSON.parse(whole.lines.at(-1) ?? '');
    const end = last.slice(0, 19).replace('T', ' ');
    assert.ok(done.text.includes(` to ${end} UTC on 1 host, `), done.text);
    // The host sends no more: of a time after its last record, nothing is proved.
    const after = new Date(Date.parse(last) + 1).toISOString();
    const later = await ends(1, alone.read('report', '--mailbox', alice, '--from', after));
    assert.match(later.text, /^NOT proved complete from .*: one reason stands below; /m);
  });
});
