// Goal: every release of 2.4 answers through the gate what it answers directly, also where the announced minor does not say which one it
// is: the real 2.4.1 and 2.4.5; 2.4.2 to 2.4.4 as a 2.4.5 that announces 3; a newer one as a 2.4.5 that announces 5.
// What must not happen: a name within a row, a row under other columns, a process that dies of a command that the gate let through.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { type Lab, openLab, type Release } from '../../kit/plain/dovecot-lab.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { askOverHttp } from './http-and-wire.js';
import { openHttpGateway } from './http-gateway.js';
import { alice, onDovecot } from './real-gateway.js';
import { openReleaseShim } from './release-shim.js';

const policy = `
    users: ["*"]
    logs: full
    allow: [quota get, { command: mailbox status, all_users: true }, mailbox create]`;

interface Case {
  /** The setting `release`; empty: not set. */
  readonly release: string;
  /** What the real server is made to announce; undefined: what it does. */
  readonly shown: number | undefined;
  /** The code of the refusal of `mailbox status deleted` and of a change; undefined: it is answered. */
  readonly deleted: string | undefined;
  readonly change: string | undefined;
}

const cases: Readonly<Partial<Record<Release, readonly Case[]>>> = {
  // No release of 2.3 has the field.
  native: [{ release: '', shown: undefined, deleted: 'fields-invalid', change: undefined }],
  trixie: [
    { release: '', shown: undefined, deleted: 'release-unsure', change: undefined },
    { release: '2.4.1', shown: undefined, deleted: 'release-unsure', change: undefined },
  ],
  sid: [
    { release: '', shown: undefined, deleted: undefined, change: undefined },
    { release: '', shown: 3, deleted: 'release-unsure', change: undefined },
    { release: '2.4.2', shown: 3, deleted: undefined, change: undefined },
    { release: '2.4.4', shown: 3, deleted: undefined, change: undefined },
    { release: '', shown: 5, deleted: undefined, change: 'backend-newer' },
  ],
};

onDovecot('releases and their minors', openLab, async (t, lab) => {
  const place = lab.release === 'native' && lab.series === '2.4' ? 'trixie' : lab.release;
  for (const one of cases[place] ?? []) {
    const name = `announces ${one.shown ?? 'its own'}, release ${one.release || 'not set'}`;
    await t.test(name, (each) => compare(each, lab, one));
  }
});

async function compare(t: TestContext, lab: Lab, { release, shown, deleted, change }: Case): Promise<void> {
  const shim = shown === undefined ? undefined : await openReleaseShim(t, lab.unixAuth, shown);
  const { gateway, port, key } = await openHttpGateway(t, lab, policy, {
    policy,
    ...(shim !== undefined && { way: 'tcp', port: shim }),
    ...(release !== '' && { backend: `release: ${release}` }),
  });
  const direct = await openRawClient({ owner: t, path: lab.unixPreauth, minor: 2 });
  const authorization = authorizationOf.key(key);
  const overHttp = async (parameters: object): Promise<string> => {
    const body = JSON.stringify([['mailboxStatus', parameters, 't']]);
    return (await askRaw({ port }, encodePost({ authorization, body }))).body.toString();
  };

  // A client of 2.3, which wants the user in front of each row.
  const older = await gateway.client({ minor: 2 });
  const plain = await direct.ask({ user: alice, fields: ['mailbox status', 'all', '*'] });
  assert.equal(plain.status, '+');
  const width = /^2\.(?:3|4\.[01](?!\d))/.test(lab.version) ? 10 : 11;
  assert.ok(plain.cells.length > width && plain.cells.length % width === 0);
  const expected: string[] = [];
  for (let at = 0; at < plain.cells.length; at += width)
    expected.push(alice, ...plain.cells.slice(at, at + width));
  const named = await older.ask({
    user: alice,
    fields: ['mailbox status', '-A', '-u', alice, '--', 'all', '*'],
  });
  assert.deepEqual([named.status, named.cells], ['+', expected]);

  // Over HTTP, for one user and for all of them.
  for (const parameters of [
    { user: alice, field: ['all'], mailboxMask: '*' },
    // A 2.3 has no command for all users.
    ...(lab.series === '2.3' ? [] : [{ allUsers: true, field: ['all'], mailboxMask: '*' }]),
  ]) {
    const ours = await overHttp(parameters);
    assert.match(ours, /^\[\["doveadmResponse",\[\{/);
    assert.equal(ours, await askOverHttp(lab, 'POST', JSON.stringify([['mailboxStatus', parameters, 't']])));
  }

  const fields = ['mailbox status', 'messages deleted', 'INBOX'];
  const gated = await older.ask({ user: alice, fields });
  if (deleted === undefined) {
    const other = await direct.ask({ user: alice, fields });
    assert.deepEqual([gated.status, gated.cells], [other.status, other.cells]);
  } else {
    assert.equal(gated.status, '-USAGE');
    assert.match(gated.logs.map(({ text }) => text).join('\n'), new RegExp(`\\[${deleted}\\]`));
    // It is refused for that: without the field, its process ends.
    if (lab.series === '2.4' && width === 10)
      await assert.rejects(direct.ask({ user: alice, fields }), { name: 'RawClientError' });
  }

  const created = await older.ask({
    user: alice,
    fields: ['mailbox create', `New-${shown ?? 'own'}${release.replaceAll('.', '-')}`],
  });
  assert.equal(created.status, change === undefined ? '+' : '-NOPERM');
  if (change !== undefined)
    assert.match(created.logs.map(({ text }) => text).join('\n'), /\(backends\.mail1\.newer: reads\)/);
  older.close();
  await gateway.finish();
}
