// Goal: texts reach a real Dovecot through the daemon byte for byte as they do without it, once, and nothing of them is ever run.
// Phases, for each release asked for: `save` of every kind of mail by the real doveadm and by hand, also a large one; `sieve put`; clients
// that leave in the middle; texts that a server takes for commands, as we send them and as they are.
// What must not happen: a changed byte, a mail twice or cut, a line of a text that is carried out, a daemon that grows with a text.
// DOVEGATE_ROUNDS="5" makes the large mail one of 100 MiB.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DotEncoder } from '../../../src/doveadm/protocol/text.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import type { ProgramResult } from '../../kit/plain/program.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import {
  alice,
  askOnce,
  bob,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
  runAt,
} from './real-gateway.js';

const mailbox = 'Input';
const rounds = Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const largeBytes = 20 * 1024 * 1024 * rounds;
const sievePut = '{ command: sieve put, where: { scriptname: any, activate: any } }';
const allow = ['save', 'mailbox create', 'sieve get', 'sieve list', sievePut];

const header = 'From: a@example.net\nSubject: input\nMessage-ID: <1@example.net>\n\n';
const command = `\t${alice}\tmailbox create\tFromTheMail`;

/**
 * Runs the real client until it does not fail by its own fault: up to 2.3.21, doveadm ends with a panic when the socket has no room at the
 * moment where its input ends, also without us (o_stream_send_istream on a finished stream). The text has no end then, and nothing is
 * stored.
 */
async function untilNoPanic(
  run: () => Promise<ProgramResult>,
): Promise<ProgramResult & { readonly panics: number }> {
  for (let panics = 0; ; panics += 1) {
    const result = await run();
    const isPanic = result.exit === 134 && result.text.includes('(!_outstream->finished)');
    if (!isPanic || panics === 4) return { ...result, panics };
  }
}

/** Every kind of mail, as the text that is given to a client. */
const mails: Readonly<Record<string, string | Buffer>> = {
  plain: `${header}hello\n`,
  empty: '',
  'one byte': 'x',
  'no final newline': `${header}the end`,
  'dots of all kinds': `${header}.\n..\n...\n.x\n..x\n.\n\n.\r\n..\r\n. \nx.\n.`,
  'CRs and bare LFs': `${header}a\r\nb\nc\rd\n\re\r\r\nf\n\r\n\r\r\r\n.\r.\r\n\r`,
  'NULs, 8-bit, escapes': Buffer.concat([
    Buffer.from(header),
    Buffer.from(Array.from({ length: 256 }, (_, at) => at)),
  ]),
  'lines that are commands': `${header}${command}\nv${command}\r\n${command}\n.${command}\n`,
  'only a command': `${command}\n`,
  'a line above a MiB': `${header}${'x'.repeat(1_200_000)}\n.${'y'.repeat(70_000)}\n`,
};

onDovecot('commands with input', openRealDovecot, async (t, lab) => {
  const quota =
    lab.series === '2.3' ? 'plugin {\n  quota_rule = *:storage=8G\n}\n' : 'quota_storage_size = 8G\n';
  await lab.writeExtraConf(passwordSetting + quota);
  for (const user of [alice, bob]) await lab.doveadm(['mailbox', 'create', '-u', user, mailbox]);

  await t.test('save: every kind of mail is stored as it is without us, once', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { allow });
    let panics = 0;
    for (const [name, text] of Object.entries(mails)) {
      const stdin = Buffer.from(text);
      const args = (user: string): readonly string[] => ['save', '-u', user, '-m', mailbox];
      const own = await untilNoPanic(() => runAt(lab, lab.unixPreauth, args(bob), undefined, { stdin }));
      const through = await untilNoPanic(() => gateway.doveadm(args(alice), { stdin }));
      panics += through.panics;
      assert.deepEqual([through.exit, through.text], [own.exit, own.text], name);
      assertSameMail(lab, `${name}, by doveadm`, { [bob]: own.panics, [alice]: through.panics });
      // By hand, line ends are not made to CR LF before they are sent.
      const direct = await openRawClient({ path: lab.unixPreauth, minor: 2 });
      const asked = await gateway.client({ minor: 2 });
      const statuses: string[] = [];
      for (const [client, user] of [
        [direct, bob],
        [asked, alice],
      ] as const) {
        await sendSave(client, user, stdin);
        statuses.push((await client.readReply()).status);
        client.close();
      }
      assert.equal(statuses[0], statuses[1], name);
      assertSameMail(lab, `${name}, by hand`);
    }
    const done = await gateway.finish('completion');
    assert.equal(done.length, 2 * Object.keys(mails).length + panics);
    for (const record of done.filter(({ outcome }) => panics === 0 || outcome !== 'aborted'))
      assert.deepEqual([record['command'], record['outcome']], ['save', 'ok']);
    await assertNothingWasRun(lab);
  });

  await t.test('what goes wrong behind the dot is told as it is without us', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { allow });
    const small = 'small@example.org';
    const wrong: readonly (readonly [string, readonly string[], number])[] = [
      ['nobody@example.org', ['save'], 100],
      [alice, ['save', '-m', 'Nope/Nope'], 100],
      [small, ['save'], 100_000],
      ['nobody@example.org', ['save'], 300_000],
      ['nobody@example.org', ['sieve put', 'name'], 100],
    ];
    for (const [user, fields, bytes] of wrong) {
      const title = `${fields.join(' ')} ${user}`;
      const text = `${header}${command}\n`.padEnd(bytes, 'line of the text\n');
      const direct = await openRawClient({ path: lab.unixPreauth, minor: 2 });
      const asked = await gateway.client({ minor: 2 });
      const answers: unknown[] = [];
      for (const client of [direct, asked]) {
        client.sendCommand({ user, fields });
        await client.write(`${text}\n.\n\t${alice}\tquota get\n`);
        const { status } = await client.readReply();
        // Up to 2.3.16 a second status line follows a failure.
        const next = await client.readReply();
        answers.push([status, next.cells.length || (await client.readReply()).cells.length]);
        client.close();
      }
      assert.deepEqual(answers[1], answers[0], title);
      assert.ok(!String(answers[0]).startsWith('+') || fields.includes('Nope/Nope'), title);
    }
    await gateway.finish();
    await assertNothingWasRun(lab);
    emptyMailbox(lab, alice);
  });

  await t.test('save: a large mail in constant memory', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { allow });
    await gateway.doveadm(['save', '-u', alice, '-m', mailbox], { stdin: 'warm\n' });
    emptyMailbox(lab, alice);
    const before = memoryOf(gateway.daemon.pid);
    const text = largeMail();
    const saveTo = async (client: RawClient, user: string): Promise<[sentMs: number, doneMs: number]> => {
      client.sendCommand({ user, fields: ['save', '-m', mailbox] });
      const startMs = Date.now();
      const slice = 256 * 1024;
      const encoder = plainStuffing();
      for (let at = 0; at < text.length; at += slice)
        await client.write(encoder(text.subarray(at, at + slice)));
      await client.write('\r\n.\r\n');
      const sentMs = Date.now() - startMs;
      assert.equal((await client.readReply()).status, '+');
      client.close();
      return [sentMs, Date.now() - startMs];
    };
    await saveTo(await openRawClient({ path: lab.unixPreauth, minor: 2, timeoutMs: 120_000 }), bob);
    const [sentMs, doneMs] = await saveTo(await gateway.client({ minor: 2, timeoutMs: 120_000 }), alice);
    const grown = memoryOf(gateway.daemon.pid).peak - before.now;
    assert.equal(mailsOf(lab, bob).length, 1);
    assertSameMail(lab, 'a large one');
    sub.diagnostic(
      `${text.length} bytes: taken in ${sentMs} ms, answered after ${doneMs} ms, ${grown} KiB grown`,
    );
    assert.ok(grown < 64 * 1024, `grew by ${grown} KiB`);
    const [, completion] = await gateway.finish('completion');
    assert.equal(Object(completion?.['input']).bytes, text.length);
  });

  await t.test('sieve put: the script, whether it is active, and what is wrong with it', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { allow });
    const scripts: readonly (readonly [readonly string[], string])[] = [
      [['one'], 'keep;\n'],
      [['-a', 'two'], 'require ["fileinto"];\n# dots:\n# ..\nfileinto "Archive";'],
      [['three'], '/*\n.\n..\n.x\n*/\nstop;\n'],
      [['four'], 'this is no script;\n'],
      [['-a', 'one'], 'stop;\n'],
    ];
    for (const [args, stdin] of scripts) {
      const title = `sieve put ${args.join(' ')}`;
      const put = ['sieve', 'put', '-u'];
      const own = await runAt(lab, lab.unixPreauth, [...put, bob, ...args], undefined, { stdin });
      const through = await gateway.doveadm([...put, alice, ...args], { stdin });
      assert.equal(through.exit, own.exit, `${title}: ${through.text}`);
      assert.equal(own.exit, stdin.startsWith('this') ? 65 : 0, own.text);
      for (const [verb, ...rest] of [['get', args.at(-1) ?? ''], ['list']] as const) {
        const [bobs, alices] = [
          await lab.doveadm(['sieve', verb, '-u', bob, ...rest]),
          await lab.doveadm(['sieve', verb, '-u', alice, ...rest]),
        ];
        // Alice has one script from the start.
        const lines = ({ stdout }: ProgramResult): string[] =>
          stdout
            .toString()
            .split('\n')
            .filter((line) => !line.startsWith('main'));
        assert.deepEqual([alices.exit, lines(alices)], [bobs.exit, lines(bobs)], title);
        if (verb === 'get' && own.exit === 0)
          assert.ok(alices.text.replaceAll('\r', '').includes(stdin), alices.text);
      }
    }
    await gateway.finish();
  });

  await t.test('a client that leaves before the dot leaves nothing behind', async (sub) => {
    const gateway = await openRealGateway(sub, lab, { allow });
    const ends = ['', 'text\r\n.', 'text\r\n.\r', 'text\n..\r\n'];
    const parts = [...ends.map((end) => header + end), 'x'.repeat(3_000_000)];
    for (const part of parts) {
      for (const leave of ['halfClose', 'close'] as const) {
        const client = await gateway.client({ minor: 2 });
        client.sendCommand({ user: alice, fields: ['save', '-m', mailbox] });
        await client.write(part);
        client[leave]();
        if (leave === 'halfClose') assert.equal((await client.readReply()).status, '-TEMPFAIL');
        await client.closed;
      }
    }
    const done = await gateway.finish('completion');
    assert.equal(done.length, 2 * parts.length);
    for (const record of done) assert.equal(record['outcome'], 'aborted', JSON.stringify(record));
    // Long ones were on their way already.
    assert.deepEqual(done.filter((record) => record['sent'] === true).length, 2);
    assert.deepEqual(mailsOf(lab, alice), []);
  });

  await t.test('what a server takes for commands: as it is it runs; as we send it, not', async () => {
    const unread = [
      ...['--bogus', '/dev/null', '--file=/dev/null'].map((word) => ['save', word]),
      ['sieve put', '--bogus', 'name'],
      ['sieve shove', 'name'],
      ['Save'],
    ];
    const before = ['', 'Subject: x\n\n', '\n', '\r', '\t'];
    const texts = [...before.map((text) => `${text}${command}\n`), `v${command}\r\n`];
    const run = async (fields: readonly string[], text: Buffer): Promise<boolean> => {
      const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
      client.sendCommand({ user: bob, fields });
      // The server may have ended by then.
      await client.write(text).catch(() => undefined);
      client.halfClose();
      await client.closed;
      const listed = await askOnce(lab.unixPreauth, { user: alice, fields: ['mailbox list'] });
      assert.equal(listed.status, '+');
      const isRun = listed.cells.includes('FromTheMail');
      if (isRun) await lab.doveadm(['mailbox', 'delete', '-u', alice, 'FromTheMail']);
      return isRun;
    };
    let seen = 0;
    for (const fields of unread) {
      for (const text of texts) {
        if (await run(fields, Buffer.from(`${text}.\n`))) seen += 1;
        const encoder = new DotEncoder(undefined);
        const ours = Buffer.concat([...encoder.push(Buffer.from(text)), ...encoder.end()]);
        assert.ok(!(await run(fields, ours)), `${fields.join(' ')}: ${JSON.stringify(text)}`);
      }
    }
    // The danger is there, and this test sees it.
    assert.ok(seen >= unread.length, `${seen} texts were run as they are`);
  });
});

/** Sends the command and the text, dots stuffed where they must be, in one write. */
async function sendSave(client: RawClient, user: string, text: Buffer): Promise<void> {
  client.sendCommand({ user, fields: ['save', '-m', mailbox] });
  await client.write(Buffer.concat([plainStuffing()(text), Buffer.from('\r\n.\r\n')]));
}

/** A dot before each line that begins with one, as clients do it; a function for the pieces of one text. */
function plainStuffing(): (text: Buffer) => Buffer {
  let isLineStart = true;
  return (text) => {
    const stuffed = text.toString('latin1').replace(/\n\./g, '\n..');
    const first = isLineStart && stuffed.startsWith('.') ? '.' : '';
    isLineStart = stuffed.endsWith('\n');
    return Buffer.from(first + stuffed, 'latin1');
  };
}

/** Of a text that was cut, `tmp` has a file until the server has noticed; it is no mail. */
function mailsOf(lab: Lab, user: string): string[] {
  const folder = join(lab.folder, 'mail', user, 'Maildir', `.${mailbox}`);
  return ['new', 'cur'].flatMap((name) =>
    readdirSync(join(folder, name)).map((file) => join(folder, name, file)),
  );
}

function emptyMailbox(lab: Lab, user: string): void {
  for (const file of mailsOf(lab, user)) rmSync(file);
}

/**
 * What bob has without us and alice has through us; both mailboxes are empty afterwards. `panics`: how often the client of a user was run
 * again: one that has sent the whole text before its panic has stored the same mail.
 */
function assertSameMail(lab: Lab, name: string, panics: Readonly<Record<string, number>> = {}): void {
  const storedOf = (user: string): readonly Buffer[] => mailsOf(lab, user).map((file) => readFileSync(file));
  const [own] = storedOf(bob);
  for (const user of [bob, alice]) {
    const stored = storedOf(user);
    const [least, most] = own === undefined ? [0, 0] : [1, 1 + (panics[user] ?? 0)];
    assert.ok(stored.length >= least && stored.length <= most, `${name}: ${stored.length} mails of ${user}`);
    for (const mail of stored)
      assert.ok(own?.equals(mail), `${name}: ${own?.length} and ${mail.length} bytes`);
    emptyMailbox(lab, user);
  }
}

async function assertNothingWasRun(lab: Lab): Promise<void> {
  for (const user of [alice, bob]) {
    const { text } = await lab.doveadm(['mailbox', 'list', '-u', user]);
    assert.ok(text.includes('INBOX') && !text.includes('FromTheMail'), text);
  }
}

/** Lines of many lengths, dots, 8-bit, and bytes of which half are CR, LF and dots, so that all of their sequences occur. */
function largeMail(): Buffer {
  const block = Buffer.concat([
    ...Array.from({ length: 400 }, (_, at) =>
      Buffer.from(`${at % 7 === 0 ? '.' : ''}${randomBytes(at % 90).toString('base64')}\xe9\n`, 'latin1'),
    ),
    randomBytes(65_536),
    randomBytes(4096).map((byte) => '\r\n.'.charCodeAt(byte % 6) || byte),
  ]);
  const count = Math.ceil(largeBytes / block.length);
  return Buffer.concat([Buffer.from(header), ...Array.from({ length: count }, () => block)], largeBytes);
}

/** KiB. */
function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (key: string): number => Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
  return { now: of('VmRSS'), peak: of('VmHWM') };
}
