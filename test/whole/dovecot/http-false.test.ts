// Goal: what a request says is not set is not set. Dovecot up to 2.4.1 takes any value of a boolean for true: `"recursive":false` of
// mailboxDelete deletes what lies below, `"allUsers":false` runs a command for everybody, `"reset":false` sets counters back (measured).
// What must not happen: an effect, a right that is asked for, or a word in a record, of a parameter that is false.
import assert from 'node:assert/strict';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { openHttpGateway } from './http-gateway.js';
import { alice, onDovecot } from './real-gateway.js';

/** None of the three is allowed to be set. */
const policy = `
    users: ["*"]
    allow: [mailbox create, mailbox delete, mailbox list, mailbox status, stats dump]`;

onDovecot('false is absent', openLab, async (t, lab) => {
  const { gateway, port, key } = await openHttpGateway(t, lab, policy);
  const ask = async (
    name: string,
    parameters: object,
  ): Promise<readonly [kind: string, data: ReturnType<typeof JSON.parse>]> => {
    const body = JSON.stringify([[name, parameters, 't']]);
    const answer = await askRaw({ port }, encodePost({ body, authorization: authorizationOf.key(key) }));
    const [[kind, data]] = JSON.parse(answer.body.toString());
    return [kind, data];
  };
  const user = alice;
  const child = lab.series === '2.3' ? 'Parent.Child' : 'Parent/Child';
  for (const no of [false, 'false']) {
    for (const mailbox of ['Parent', child]) await ask('mailboxCreate', { user, mailbox: [mailbox] });
    assert.equal(
      (await ask('mailboxDelete', { user, mailbox: ['Parent'], recursive: no, unsafe: no }))[0],
      'doveadmResponse',
    );
    const [, left] = await ask('mailboxList', { user, mailboxMask: 'Parent*', allUsers: no });
    assert.ok(left.some(({ mailbox }: { mailbox: string }) => mailbox === child));
    assert.equal((await ask('mailboxDelete', { user, mailbox: [child] }))[0], 'doveadmResponse');
    const [kind, shown] = await ask('mailboxStatus', {
      user,
      field: ['messages'],
      mailboxMask: 'INBOX',
      allUsers: no,
      totalSum: no,
    });
    assert.equal(kind, 'doveadmResponse');
    assert.deepEqual(Object.keys(shown[0]), ['mailbox', 'messages']);
    assert.equal((await ask('statsDump', { reset: no }))[0], 'doveadmResponse');
  }
  assert.equal(
    (await ask('mailboxDelete', { user, mailbox: ['Parent'], recursive: true }))[1].type,
    'unAuthorized',
  );
  assert.equal(
    (await ask('mailboxStatus', { field: ['messages'], mailboxMask: 'INBOX', allUsers: true }))[0],
    'error',
  );
  assert.equal((await ask('statsDump', { reset: 'true' }))[1].type, 'unAuthorized');
  const records = await gateway.finish();
  const admissions = records.map(({ record }) => record).filter(({ event }) => event === 'admission');
  const allowed = admissions.filter(({ decision }) => decision === 'allow');
  assert.equal(allowed.length, 2 * 7);
  for (const { args } of allowed)
    assert.doesNotMatch(
      JSON.stringify(args),
      /-A|--all-users|recursive|"-r"|unsafe|"-Z"|reset|total-sum|"-t"/,
    );
  const effects = allowed.filter(({ command }) => command === 'stats dump').map(({ effect }) => effect);
  assert.deepEqual(effects, ['read', 'read']);
});
