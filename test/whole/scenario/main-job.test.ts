// Goal: a client's command is judged, recorded, sent over an authenticated STARTTLS connection, and answered as the backend did.
// Phases: every minor of the protocol; refusals; reuse of one upstream; log lines. What must not happen: a refused command that
// opens or uses an upstream; a byte of a client's that is forwarded as it came.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { me, myUid } from '../../kit/plain/me.js';
import { until } from '../../kit/plain/until.js';

const quota = ['User quota', 'STORAGE', '72', '10240', '0', 'User quota', 'MESSAGE', '4', '-', '0'];

// Bytes that are no line of the protocol, with a good command behind them.
const broken: readonly (readonly [string, string | Buffer])[] = [
  ['an empty line', '\n'],
  ['two fields', 'alice@example.org\tquota get\n'],
  ['an unknown flag', 'Q\talice@example.org\tquota get\n'],
  ['two extra fields', 'xx\ta=b\tc=d\talice@example.org\tquota get\n'],
  ['a raw NUL', '\talice@example.org\tquota get\0\n'],
  ['an escaped NUL', '\talice@example.org\x010@elsewhere\tquota get\n'],
  ['SOH at the end of a field', '\talice@example.org\x01\tquota get\n'],
  ['SOH before another byte', '\tal\x01xice@example.org\tquota get\n'],
];

test('the usual policy', async (t) => {
  const { client, backend, daemon } = await openGateway(t, { mail1: { idle: '1' } });
  const upstreams = (): number => new Set(backend.commands.map(({ connection }) => connection)).size;

  await t.test('a refused command is told why, and never uses an upstream', async () => {
    const one = await client();
    const refused: readonly (readonly [string, string, RegExp])[] = [
      [
        '\talice@example.org\tmailbox delete\tINBOX',
        '-NOPERM',
        /^dovegate: denied by policy support \(no rule allows "mailbox delete"\); what is allowed: dovegate can --socket \S+ \[denied\], id [0-9A-Z]{26}$/,
      ],
      ['\tceo@example.org\tquota get', '-NOPERM', /excepts a user/],
      ['\tbob@elsewhere.org\tquota get', '-NOPERM', /does not hold for a user/],
      ['\talice@example.org\tmailbox list\t-F/etc/passwd', '-NOPERM', /user-file/],
      ['\talice@example.org\tquota get\t-u\tbob@example.org', '-USAGE', /another user/],
      ['\talice@example.org\tno such thing', '-USAGE', /no such command/],
      ['\talice@example.org\tquota get\t--all', '-USAGE', /dovegate: not understood/],
      ['\tal*ce@example.org\tquota get', '-USAGE', /mail_users\.characters/],
    ];
    for (const [line, status, text] of refused) {
      one.send(line);
      const reply = await one.readReply();
      assert.equal(reply.status, status, line);
      assert.equal(reply.body.length, 0);
      assert.equal(reply.logs.length, 1);
      assert.equal(reply.logs[0]?.type, 'error');
      assert.match(reply.logs[0]?.text ?? '', text);
    }
    assert.equal(backend.commands.length, 0);
    one.close();
    const completions = () => recordsOf(daemon, 'completion');
    await until(() => completions().length >= refused.length, 'a completion of each');
    assert.equal(completions().length, refused.length);
    assert.ok(completions().every((record) => record['sent'] === false));
  });

  await t.test(
    'a line that is not of the protocol ends the session without an answer and without a look at the rest',
    async () => {
      for (const [name, bytes] of broken) {
        const one = await client();
        await one
          .write(Buffer.concat([Buffer.from(bytes), Buffer.from('\talice@example.org\tquota get\n')]))
          .catch(() => undefined);
        const end = await one.readEnd();
        assert.equal(end.body.length, 0, name);
        assert.equal(end.logs.length, 0, name);
      }
      assert.equal(backend.commands.length, 0);
      const closes = () => auditRecords(daemon).filter((record) => record['reason'] === 'wire-fault');
      await until(() => closes().length >= broken.length, 'the end of each session');
      assert.equal(closes().length, broken.length);
      assert.ok(
        closes().every((record) => record['event'] === 'session-close' && String(record['text']).length > 0),
      );
    },
  );

  await t.test('clients of minor 0 to 4 get the same answer, each in its framing', async () => {
    for (const minor of [0, 1, 2, 3, 4]) {
      const one = await client({ minor });
      assert.equal(one.goAhead, '+');
      assert.equal(one.serverMinor, minor === 0 ? undefined : 3);
      const reply = await one.ask({ user: 'alice@example.org', fields: ['quota get'] });
      assert.deepEqual(reply.cells, quota);
      assert.equal(reply.status, '+');
      // A second one on the same session.
      assert.deepEqual((await one.ask({ user: 'alice@example.org', fields: ['mailbox', 'list'] })).cells, [
        'Ünïcode',
        'Drafts',
        'Archive',
        'INBOX',
      ]);
      one.close();
    }
    assert.equal(upstreams(), 1);
    assert.ok(backend.tlsHandshakes > 0);
    assert.ok(backend.plainAttempts.every(({ user, isAccepted }) => user === 'doveadm' && isAccepted));
  });

  await t.test(
    '100 commands one after another use one upstream, and 4 upstreams serve many clients',
    async () => {
      const before = backend.commands.length;
      const one = await client();
      for (let n = 0; n < 100; n += 1) {
        assert.equal((await one.ask({ user: 'alice@example.org', fields: ['quota get'] })).status, '+');
      }
      assert.equal(upstreams(), 1);
      assert.equal(backend.commands.length - before, 100);
      const many = await Promise.all(Array.from({ length: 20 }, () => client()));
      await Promise.all(
        many.map(async (each) => {
          for (let n = 0; n < 10; n += 1) {
            assert.deepEqual(
              (await each.ask({ user: 'alice@example.org', fields: ['quota get'] })).cells,
              quota,
            );
          }
        }),
      );
      assert.ok(upstreams() <= 4, `${upstreams()} upstreams`);
    },
  );

  await t.test('what goes upstream is written afresh, whatever the client wrote', async () => {
    const before = backend.commands.length;
    const one = await client({ minor: 3 });
    // Flags, extra fields, an upper-case user, words apart, -u that repeats the user, CR.
    one.send('vx\tproxy-ttl=5\tALICE@example.org\tmailbox\tlist\t-ualice@example.org\t--\r');
    assert.equal((await one.readReply()).status, '+');
    one.send('D\talice@example.org\tquota get');
    assert.equal((await one.readReply()).status, '+');
    assert.deepEqual(
      backend.commands.slice(before).map((command) => command.line.toString()),
      ['v\talice@example.org\tmailbox list\t--', '\talice@example.org\tquota get\t--'],
    );
  });

  await t.test(
    'pipelined commands are answered in order, also for a client that has ended its side',
    async () => {
      const one = await client({ minor: 0 });
      await one.write(
        '\talice@example.org\tquota get\n\talice@example.org\tmailbox delete\tINBOX\n\talice@example.org\tmailbox list\n\talice@example.org\tquota',
      );
      one.halfClose();
      assert.deepEqual((await one.readReply()).cells, quota);
      assert.equal((await one.readReply()).status, '-NOPERM');
      assert.equal((await one.readReply()).cells.length, 4);
      // The last line has no LF: it is never run.
      assert.equal((await one.readEnd()).body.length, 0);
    },
  );

  await t.test('a client of minor 3 hears log lines only after OPTION', async () => {
    const deaf = await client({ minor: 3 });
    deaf.send('\talice@example.org\tmailbox delete\tINBOX');
    assert.deepEqual((await deaf.readReply()).logs, []);
    const hearing = await client({ minor: 3, optionLogPassthrough: true });
    hearing.send('\talice@example.org\tmailbox delete\tINBOX');
    assert.equal((await hearing.readReply()).logs.length, 1);
  });

  await t.test(
    '-A and a wildcard -u of a 2.3 client mean a column with the user, which no backend is asked for',
    async () => {
      const before = backend.commands.length;
      const old = await client({ minor: 2 });
      for (const option of ['-A', '-u\t*@example.org']) {
        old.send(`\talice@example.org\tquota get\t${option}`);
        const reply = await old.readReply();
        assert.equal(reply.status, '+');
        const user = 'alice@example.org';
        assert.deepEqual(reply.cells, [user, ...quota.slice(0, 5), user, ...quota.slice(5)]);
      }
      assert.ok(
        backend.commands
          .slice(before)
          .every((command) => command.line.toString() === '\talice@example.org\tquota get\t--'),
      );
      // From a newer client -A means everybody, and needs a rule that says so.
      const newer = await client({ minor: 3 });
      newer.send('\talice@example.org\tquota get\t-A');
      assert.equal((await newer.readReply()).status, '-NOPERM');
      assert.equal(backend.commands.length - before, 2);
    },
  );

  await t.test('a secret argument is recorded as an HMAC only', async () => {
    const one = await client();
    await one.ask({
      user: 'alice@example.org',
      fields: ['search', 'mailbox', 'INBOX', 'subject', 'very-private-words'],
    });
    // What is still in memory shows in the files then.
    await daemon.stop();
    assert.deepEqual(daemon.grepSecrets(['very-private-words']), []);
    const admission = auditRecords(daemon).find((record) => record['command'] === 'search');
    const args: unknown = admission?.['args'];
    assert.ok(
      Array.isArray(args) &&
        args.some((word: unknown) => typeof word === 'object' && word !== null && 'hmac' in word),
    );
  });

  await t.test('records name who asked by the word of the kernel', async () => {
    const admission = auditRecords(daemon).find((record) => record['event'] === 'admission');
    const gid = process.getegid?.();
    const named = String(myUid) === me ? {} : { user: me };
    const peer = admission?.['peer'];
    assert.ok(typeof peer === 'object' && peer !== null);
    // The executable and the unit are there only where the kernel lets us look.
    const {
      exe = process.execPath,
      unit,
      unit_unproven,
      login_uid,
      ...sure
    } = { exe: undefined, unit: undefined, unit_unproven: undefined, login_uid: undefined, ...peer };
    assert.deepEqual(sure, { uid: myUid, gid, pid: process.pid, ...named });
    assert.equal(exe, process.execPath);
    assert.ok(unit === undefined || typeof unit === 'string');
    assert.ok(unit_unproven === undefined || unit === undefined);
    assert.ok(login_uid === undefined || typeof login_uid === 'number');
    assert.equal(admission?.['principal'], `${me}@support`);
  });
});
