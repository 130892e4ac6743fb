// Goal: clients of every protocol minor get through the daemon what Dovecot would have said itself, byte for byte. What real programs
// print is compared in conformance.test.ts.
// Phases, for each release asked for: clients of every minor; 100 commands over one upstream.
// What must not happen: a changed byte, another status, a second TLS handshake for the second command, a password that is written down.
import assert from 'node:assert/strict';
import { releases } from '../../kit/plain/dovecot-lab.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { openTcpCounter } from '../../kit/plain/tcp-counter.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

type Asked = readonly [user: string, ...fields: string[]];

const good: readonly Asked[] = [
  [alice, 'quota get'],
  [alice, 'mailbox list'],
  [alice, 'mailbox list', 'A*', 'Ü*'],
  [alice, 'mailbox list', 'Nope*'],
  [alice, 'mailbox status', 'all', 'INBOX'],
  [alice, 'mailbox status', 'all', '*'],
  [alice, 'mailbox status', 'messages vsize', 'INBOX', 'Big', 'Ünïcode'],
  [alice, 'mailbox status', 'messages', 'INBOX', 'Nope', 'Archive'],
  [alice, 'search', 'all'],
  [alice, 'search', 'mailbox', 'INBOX', 'subject', 'grüße'],
  [alice, 'search', 'mailbox', 'Archive', 'all'],
  [alice, 'search', '(', 'larger', '70000', 'or', 'subject', 'first', ')', 'not', 'body', 'tab[\t]'],
  [alice, 'fetch', 'mailbox uid flags size.virtual hdr.subject hdr.message-id', 'all'],
  [alice, 'fetch', 'text uid', 'mailbox', 'INBOX', 'all'],
  [alice, 'fetch', 'body', 'mailbox', 'INBOX', 'subject', 'binary'],
  [alice, 'fetch', 'uid', 'mailbox', 'Archive', 'all'],
  [alice, 'fetch', 'uid hdr.subject', 'mailbox', 'Nope', 'all'],
];
/** Megabytes. */
const big: Asked = [alice, 'fetch', 'text uid', 'mailbox', 'Big', 'all'];
const nobody = 'nobody@example.org';
const failing: readonly Asked[] = [
  [nobody, 'quota get'],
  [nobody, 'mailbox list'],
  [nobody, 'mailbox status', 'all', 'INBOX'],
  [nobody, 'search', 'all'],
  [nobody, 'fetch', 'text', 'all'],
  [alice, 'mailbox status', 'all', 'Nope'],
];

if (process.env['DOVEGATE_RELEASES'] === undefined) {
  console.log(
    `only the machine's own Dovecot is tested; DOVEGATE_RELEASES="${releases.join(' ')}" tests all`,
  );
}
onDovecot('the same answers through the daemon as at its own socket', openRealDovecot, async (t, lab) => {
  await t.test('clients of minor 0 to 4 get the same cells and the same status', async (sub) => {
    const gateway = await openRealGateway(sub, lab);
    for (const minor of [0, 1, 2, 3, 4]) {
      // Each command on a session of its own, so that no failure has to do with the one before.
      for (const asked of [...good, big, ...failing]) {
        const [user, ...fields] = asked;
        const title = `minor ${minor}: ${asked.join(' ')}`;
        const answers: unknown[] = [];
        const own = await openRawClient({ path: lab.unixPreauth, minor, owner: sub });
        for (const client of [own, await gateway.client({ minor })]) {
          const { bodySha256Hex, bodyBytes, status } = await client.ask(
            { user, fields },
            { keepBody: false },
          );
          answers.push({ bodySha256Hex, bodyBytes, status });
          assert.equal(status === '+', !failing.includes(asked), title);
          if (asked === big) assert.ok(bodyBytes > 5 * 1024 * 1024, title);
          client.close();
        }
        assert.deepEqual(answers[1], answers[0], title);
      }
    }
    await gateway.finish();
  });
  await t.test('100 commands one after another use one connection and one TLS handshake', async (sub) => {
    const counter = await openTcpCounter(lab);
    sub.after(() => counter.close());
    const gateway = await openRealGateway(sub, lab, { port: counter.port, idle: 1 });
    for (let n = 0; n < 20; n += 1) {
      await ends(0, gateway.doveadm(['quota', 'get', '-u', alice]));
    }
    const client = await gateway.client({ minor: 2 });
    for (let n = 0; n < 80; n += 1) {
      assert.equal((await client.ask({ user: alice, fields: ['mailbox list'] })).status, '+');
    }
    assert.deepEqual([counter.connections, counter.tlsHandshakes], [1, 1]);
    await gateway.finish();
  });
});
