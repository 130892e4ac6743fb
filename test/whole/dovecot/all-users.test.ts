// Goal: `-A` on a line without a user means what it means to that Dovecot, whatever minor the client has announced. Phases: each minor
// directly and through the gate. What must not happen: a refusal that speaks of a user, rows of fewer users than Dovecot has.
import assert from 'node:assert/strict';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const asked = [
  ['quota get', '-A'],
  ['mailbox status', '-A', 'messages', 'INBOX'],
] as const;

onDovecot('`-A` without a user, of clients of minor 0 to 4', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, {
    way: 'unix',
    policy: `
    users: ["*"]
    allow:
      - { command: quota get, all_users: true }
      - { command: mailbox status, all_users: true }`,
  });
  // The series of a backend is known once it was reached.
  const first = await gateway.client({ minor: 2 });
  assert.equal((await first.ask({ user: alice, fields: ['quota get'] })).status, '+');
  for (const minor of [0, 1, 2, 3, 4]) {
    const optionLogPassthrough = lab.series === '2.4' && minor >= 3;
    const own = await openRawClient({ path: lab.unixPreauth, minor });
    const through = await gateway.client({ minor, optionLogPassthrough });
    t.after(() => own.close());
    for (const [name, ...args] of asked) {
      const { body, status, logs } = await through.ask({ user: '', fields: [name, ...args] });
      if (lab.series === '2.3') {
        // Dovecot 2.3 itself: `-NOUSER`, "doveadm(): User doesn't exist".
        assert.equal(status, '-USAGE', name);
        if (minor === 1 || minor === 2) assert.match(logs.at(-1)?.text ?? '', /\[all-users-series\]/);
        continue;
      }
      const direct = await own.ask({ user: '', fields: [name, ...args] });
      assert.deepEqual([String(body), status], [String(direct.body), direct.status], `${name} ${minor}`);
      assert.equal(status, '+');
      for (const user of ['alice', 'bob']) assert.ok(String(body).includes(`${user}@example.org\t`));
    }
  }
  await gateway.finish();
});
