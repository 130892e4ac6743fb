// Goal: who counts as one client. Phases: a service without a login says in each process that it is of another login; an image without
// accounts. What must not happen: a share for each login that a process names, a share of the named person that is used up, one share for
// three uids.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { openFolder } from '../../kit/plain/folder.js';
import { type Person, speakAs } from '../../kit/plain/person.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';

const asRoot = onlyRoot('can be several users');
const listeners = `
  support: { unix: support.sock, mode: "0666", policy: support }`;
const policy = `
    users: ["*@example.org"]
    allow: [quota get]
    on_request:
      - { command: mailbox status, approvals: 0, for: 1h, uses: 20 }
  leads: { users: ["*@example.org"], allow: [quota get], approve: [support] }`;
const more = `persons: { carol: { users: ["64050"], page: [carol] } }
admin: { door: door.sock, page: { unix: page.sock, approve: true, people: { carol: { user: "64050", role: approve } } } }`;
const emergency = '||dovegate request|--user=bob@example.org|--reason=x|--|mailbox status|messages|INBOX';

function somebody(uid: number): Person {
  return { uid, gid: uid, groups: [] };
}

test(
  'a login that a process sets itself is no share, and the person that it names loses nothing',
  asRoot,
  async (t) => {
    const { daemon } = await openGateway(t, { listeners, policy, more });
    chmodSync(daemon.folder, 0o711);
    const path = daemon.path('support.sock');
    const heard: string[] = [];
    for (const login of [64_050, 64_051, 64_052, 64_053])
      heard.push(...(await speakAs(somebody(64_001), path, [emergency], login)));
    assert.deepEqual(heard, ['+', '+', '+', '-TEMPFAIL']);
    assert.equal(bounds.accessBroken, 3);
    const logins = daemon.audit().flatMap(({ record }) => {
      const { action, peer } = record;
      return action === 'requested' && typeof peer === 'object' && peer !== null && 'login_uid' in peer
        ? [peer.login_uid]
        : [];
    });
    assert.deepEqual(logins, [64_050, 64_051, 64_052], 'it is recorded');
    assert.deepEqual(await speakAs(somebody(64_050), path, [emergency, emergency, emergency]), [
      '+',
      '+',
      '+',
    ]);
  },
);

test('in an image without accounts three uids keep three shares', asRoot, async (t) => {
  const folder = openFolder(t);
  const passwd = join(folder, 'passwd');
  writeFileSync(passwd, '', { mode: 0o644 });
  const launcher = ['unshare', '--mount', 'sh', '-ec', `mount --bind ${passwd} /etc/passwd; exec "$@"`, 'sh'];
  const { daemon } = await openGateway(t, { listeners, policy, more, launcher });
  chmodSync(daemon.folder, 0o711);
  for (const uid of [64_101, 64_102, 64_103]) {
    const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2, uid, owner: t });
    const fields = emergency.split('|').slice(2);
    const heard: string[] = [];
    for (let at = 0; at < 4; at += 1) heard.push((await client.ask({ user: '', fields })).status);
    assert.deepEqual(heard, ['+', '+', '+', '-TEMPFAIL'], `${uid}`);
  }
});
