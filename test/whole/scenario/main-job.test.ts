// Goal: a client's command is judged, recorded, sent over an authenticated STARTTLS connection, and answered as the backend did.
// Phases: refusals; what goes upstream; what records have. Minors, framings and pipelines are tested in test/gate/session, and in front of
// real Dovecots. What must not happen: a refused command that opens or uses an upstream; a byte of a client's that is forwarded as it came.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { me, myUid } from '../../kit/plain/me.js';
import { until } from '../../kit/plain/until.js';

test('the usual policy', async (t) => {
  const { client, backend, daemon } = await openGateway(t, { mail1: { idle: '1' } });

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
    assert.equal(backend.tlsHandshakes, 1);
    assert.ok(backend.plainAttempts.every(({ user, isAccepted }) => user === 'doveadm' && isAccepted));
  });

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
