// Goal: a lock stops a human, however they come, at the built daemon and its page with real uids. Phases: a locked person on the page by
// the link of another one, made behind sudo; by a group of the issuer; a hold that two lift, and one human who is both; a lock while the
// directory does not answer; a lock by one uid of a container; a reload that takes words out of
// who is locked, and one that gives them the last operator.
// What must not happen: an act of a locked human under another name; "locked" said of somebody who is served; a lock that a reload lifts.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { reportPath } from '../../../src/gate/session/http-access.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { askDoor, generationOf } from '../../kit/gate/ask-door.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { askPageAt, watchNow } from '../../kit/gate/page-client.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askPageAs } from '../../kit/plain/ask-page.js';
import { openFolder } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { isRoot, onlyRoot } from '../../kit/plain/skipped.js';
import { runTool, withSmallDisk } from '../../kit/plain/small-disk.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be several users');
/** A process that has a login already cannot take another one. */
const hasLogin = isRoot && readFileSync('/proc/self/loginuid', 'utf8').trim() !== String(2 ** 32 - 1);
const [carol, otto, rita, clara] = [41_101, 41_102, 41_103, 77_101];
const held = 'user:bob@example.org';
const lockFor = ['--for', '1h', '--reason', 'stolen'] as const;

test('a locked human is out of the page also behind sudo, and is not both who lift a hold', {
  skip: hasLogin ? 'this process has a login' : asRoot.skip,
}, async (t) => {
  const [port = 0] = await freePorts(1);
  const { daemon } = await openGateway(t, {
    files: { 'page/.keep': '' },
    more: `admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    unix: page/page.sock
    mode: "0666"
    people:
      ourselves: { user: "0", roles: [audit, operate] }
      carol: { user: "${carol}", roles: [audit, operate] }
      otto: { user: "${otto}", roles: [audit, operate] }
      rita: { user: "${rita}", roles: [audit, operate] }
      staff: { user: "41104", roles: [audit, operate] }
persons:
  carol: { users: ["${carol}"], page: [carol], oidc: carol@example.com }
  otto: { users: ["${otto}"], page: [otto] }
  rita: { users: ["${rita}"], page: [rita] }
`,
  });
  chmodSync(daemon.folder, 0o711);
  chmodSync(daemon.path('page'), 0o711);
  const program = (...args: string[]) => runWarm([...args, '--socket', daemon.path('admin.sock')]);
  const linkAs = async (uid: number, loginUid: number) => {
    const [answer] = await askPageAs(uid, daemon.path('page/page.sock'), [['/page/open', '']], loginUid);
    return answer ?? { status: 0, body: '' };
  };
  const signInAs = async (uid: number, loginUid: number): Promise<string> => {
    const made = await linkAs(uid, loginUid);
    assert.equal(made.status, 200, made.body);
    const [, link = ''] = made.body.trim().split('#');
    const { status, body } = await askPageAt(port, 'POST', '/api/redeem', { body: { link } });
    assert.equal(status, 200, body);
    return String(JSON.parse(body).token);
  };
  const liftBy = (token: string, target: string) =>
    askPageAt(port, 'POST', '/api/unlock', { token, body: { target, reason: 'over' } });

  // One human asks, and comes again as somebody else.
  assert.equal((await program('lock', held, '--destroying', '--reason', 'case 17')).exit, 0);
  const own = await signInAs(carol, carol);
  const asOtto = await signInAs(otto, carol);
  assert.match((await liftBy(own, held)).body, /stays held until a second person/);
  const second = await liftBy(asOtto, held);
  assert.equal(second.status, 403, second.body);
  const alone = await liftBy(await signInAs(rita, rita), held);
  assert.deepEqual([alone.status, /is unlocked/.test(alone.body)], [200, true], alone.body);

  const watcher = await watchNow(t, port, asOtto);
  assert.equal((await program('lock', 'carol', ...lockFor)).exit, 0);
  await until(() => watcher.hasEnded, 'it has ended');
  const why = /carol is locked by root until/;
  const me = await askPageAt(port, 'GET', '/api/me', { token: asOtto });
  assert.deepEqual([me.status, why.test(me.body)], [401, true], me.body);
  const link = await linkAs(otto, carol);
  assert.deepEqual([link.status, why.test(link.body)], [403, true], link.body);
  const look = ['/trail/search', '{}'] as const;
  const [seen] = await askPageAs(otto, daemon.path('page/page.sock'), [look], carol);
  assert.deepEqual([seen?.status, why.test(seen?.body ?? '')], [403, true], seen?.body);
  assert.equal((await askPageAs(otto, daemon.path('page/page.sock'), [look], otto))[0]?.status, 200);

  // A page that was taken over says whom it wants: that adds a human, and replaces none.
  const generation = await generationOf(daemon);
  const as = (person: string) => ({ person, role: 'operate', generation });
  const opener = { uid: otto, loginUid: carol };
  const lift = { action: { kind: 'unlock', target: 'carol', reason: 'x' } };
  const record = { action: 'page-open', args: [] };
  const free = { uid: rita, loginUid: rita };
  for (const [path, body] of [
    ['/operate', { as: as('otto'), from: [], opener, ...lift }],
    ['/operate', { as: as('staff'), from: ['address=192.0.2.7', 'oidc=Carol@example.com'], ...lift }],
    ['/operate', { as: as('carol'), from: [], opener: free, ...lift }],
    ['/record', { as: as('otto'), from: [], opener, ...record }],
    ['/record', { as: as('staff'), from: ['oidc=carol@example.com'], ...record }],
    ['/record', { as: as('otto'), from: [`uid=${carol}`], ...record }],
  ] as const) {
    const answer = await askDoor(daemon, path, body);
    assert.match(answer.text, why, `${path} ${JSON.stringify(body)}`);
  }
  assert.equal((await askDoor(daemon, '/record', { as: as('staff'), from: [], ...record })).status, 200);

  // Neither a reload that takes a word out, nor one that renames, frees.
  const file = daemon.path('dovegate.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    before.replace(
      `carol: { users: ["${carol}"], page: [carol], oidc: carol@example.com }`,
      'caro: { page: [carol] }',
    ),
  );
  const reloaded = await program('reload');
  assert.equal(reloaded.exit, 0, reloaded.text);
  assert.match(reloaded.text, /carol stays locked .*uid:41101.*dovegate unlock/);
  const later = await generationOf(daemon);
  const again = { ...record, as: { ...as('otto'), generation: later }, from: [], opener };
  assert.match((await askDoor(daemon, '/record', again)).text, why);

  // One that gives who is locked the last operator says that nobody operates, and what frees them.
  const everybody = 'caro: { page: [carol, ourselves, otto, rita, staff] }';
  writeFileSync(file, before.replace(/^persons:\n[^]*/m, `persons:\n  ${everybody}\n`));
  const nobody = /nobody operates on the page now.*otto: carol is locked by root until.*dovegate unlock 01/;
  assert.match((await program('reload')).text, nobody);
  await until(() => nobody.test(daemon.output()), 'the same in the log');
  assert.equal((await program('unlock', 'carol', '--reason', 'found')).exit, 0);
  again.as.generation = await generationOf(daemon);
  assert.equal((await askDoor(daemon, '/record', again)).status, 200);
});

/** A directory that answers with lines as of /etc/passwd, or is mute, and files of this machine in the place of its own. */
function openNames(t: Parameters<typeof openFolder>[0]) {
  const folder = openFolder(t);
  chmodSync(folder, 0o711);
  const told = join(folder, 'told');
  const tell = (lines: string): void => writeFileSync(told, lines);
  const script = `#!/bin/sh
lines=$(cat ${told})
[ "$lines" = mute ] && exec sleep 600
[ "$1" = -- ] && shift
for key in "$@"; do :; done
echo "$lines" | grep -E "^$key:|^[^:]*:[^:]*:$key:" || exit 2
`;
  writeFileSync(join(folder, 'getent'), script, { mode: 0o755 });
  const [nsswitch, subuid, passwd] = ['nsswitch.conf', 'subuid', 'passwd'].map((name) => join(folder, name));
  writeFileSync(nsswitch ?? '', 'passwd: files ldap\ngroup: files\n', { mode: 0o644 });
  writeFileSync(subuid ?? '', `rita:5000000:65536\n`, { mode: 0o644 });
  writeFileSync(passwd ?? '', `${readFileSync('/etc/passwd', 'utf8')}rita:x:${rita}:${rita}::/:/bin/sh\n`, {
    mode: 0o644,
  });
  const mounts = [
    [nsswitch, '/etc/nsswitch.conf'],
    [subuid, '/etc/subuid'],
    [passwd, '/etc/passwd'],
  ].map(([from, to]) => `mount --bind ${from} ${to}`);
  const launcher = ['unshare', '--mount', 'sh', '-ec', `${mounts.join('; ')}; exec "$@"`, 'sh'];
  return { tell, launcher, env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` } };
}

test(
  'a lock while the directory is away says that it is in force for the name alone, until the uid is known',
  asRoot,
  async (t) => {
    const { tell, launcher, env } = openNames(t);
    tell('mute');
    const { daemon } = await openGateway(t, {
      listeners: '\n  support: { unix: support.sock, mode: "0666", policy: support }',
      more: 'admin: { unix: admin.sock }',
      launcher,
      env,
    });
    chmodSync(daemon.folder, 0o711);
    const program = (...args: string[]) => runWarm([...args, '--socket', daemon.path('admin.sock')]);
    const ask = async (uid: number) => {
      const client = await openRawClient({ owner: t, path: daemon.path('support.sock'), minor: 2, uid });
      const quota = async () => {
        const { status, logs } = await client.ask({ user: 'bob@example.org', fields: ['quota get'] });
        return { status, text: logs.map(({ text }) => text).join(' ') };
      };
      return { quota, ...(await quota()) };
    };
    const [hers, others] = [await ask(clara), await ask(rita)];
    assert.deepEqual([hers.status, others.status], ['+', '+'], 'before');
    const locked = await program('lock', 'clara', ...lockFor);
    assert.equal(locked.exit, 1, locked.text);
    assert.match(locked.text, /clara is locked until .*; in force for the name alone: .*is asked again/);
    // Her name is unknown now, in the session of before, too; Rita's is known.
    for (const each of [await hers.quota(), await ask(clara)]) {
      assert.equal(each.status, '-NOPERM', each.text);
      assert.match(each.text, /clara is locked by root/);
    }
    assert.equal((await others.quota()).status, '+');
    assert.equal((await ask(rita)).status, '+');
    assert.match((await program('status')).text, /clara is locked .*in force for the name alone/);
    tell(`clara:x:${clara}:100::/:\ntheo:x:77102:100::/:`);
    const isOpen = async () => (await program('status')).text.includes('the name alone');
    await until(async () => !(await isOpen()), 'the uid of clara', 60_000);
    assert.equal((await hers.quota()).status, '-NOPERM', 'by her uid');
    tell('mute');
    assert.equal((await ask(clara)).status, '-NOPERM', 'by her uid, without a name');
    assert.equal((await ask(77_103)).status, '+', 'somebody else without a name');
    const words = auditRecords(daemon).flatMap(({ event, identities }) =>
      event === 'lock' ? [identities] : [],
    );
    assert.ok(String(words.at(-1)).includes(`uid:${clara}`), String(words.at(-1)));
  },
);

test('the lock of one uid of a container is of who owns the range', asRoot, async (t) => {
  const { tell, launcher, env } = openNames(t);
  tell('');
  const { daemon } = await openGateway(t, {
    listeners: '\n  support: { unix: support.sock, mode: "0666", policy: support }',
    more: 'admin: { unix: admin.sock }',
    launcher,
    env,
  });
  chmodSync(daemon.folder, 0o711);
  const statusOf = async (uid: number): Promise<string> => {
    const client = await openRawClient({ owner: t, path: daemon.path('support.sock'), minor: 2, uid });
    return (await client.ask({ user: 'bob@example.org', fields: ['quota get'] })).status;
  };
  const locked = await runWarm(['lock', '5000007', ...lockFor, '--socket', daemon.path('admin.sock')]);
  assert.equal(locked.exit, 0, locked.text);
  assert.match(locked.text, /5000007 is locked until .*\/etc\/subuid gives it to rita, .*locked with all/);
  for (const uid of [5_000_007, 5_065_535, 5_000_000, rita])
    assert.equal(await statusOf(uid), '-NOPERM', String(uid));
  for (const uid of [5_065_536, clara]) assert.equal(await statusOf(uid), '+', String(uid));
});

// Freezing a file system needs root.
test('who is locked while the disk stands still looks, signs and acts no more', asRoot, async (t) => {
  const isDone = await withSmallDisk('ext4', async (place, owner) => {
    const [port = 0, keyPort = 0] = await freePorts(2);
    const key = makeKey(randomBytes(keyBytes));
    const { daemon } = await openGateway(owner, {
      listeners: `
  support: { unix: support.sock, policy: support }
  web:
    tcp: "127.0.0.1:${keyPort}"
    protocol: http
    tls: { mode: off }
    keys: { panel: { hash: "${hashKey(key)}", policy: support, owner_reports: true } }`,
      audit: `{ directory: ${join(place, 'audit')}, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, deadline: 60s }`,
      more: `persons: { ann: { page: [ann], keys: [panel] } }
admin:
  unix: admin.sock
  door: door.sock
  page:
    tcp: 127.0.0.1:${port}
    unix: page.sock
    people: { ann: { user: "${carol}", roles: [audit, operate] }, ben: { user: "${otto}", roles: [audit, operate] } }
`,
    });
    const generation = await generationOf(daemon, owner);
    const minted = await fetch(`http://127.0.0.1:${keyPort}/dovegate/v1/${reportPath}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${key}` },
      body: JSON.stringify({ user: 'bob@example.org' }),
    });
    const { token }: { token?: string } = Object(await minted.json());
    const as = (role: string) => ({ as: { person: 'ann', role, generation }, from: [] });
    const facts = { fromSeq: 1, toSeq: 1, isDamaged: false, sha256: '0'.repeat(64) };
    const calls: Readonly<Record<string, object>> = {
      '/record': { ...as('audit'), action: 'audit-search', args: [] },
      '/sign': { ...as('audit'), facts, filter: {}, after: [], rows: 1 },
      '/report': { token, generation, address: '192.0.2.7' },
      '/operate': { ...as('operate'), action: { kind: 'drain', backend: 'mail1', reason: 'why' } },
    };
    const call = (path: string) => askDoor(daemon, path, calls[path]);
    for (const path of ['/record', '/sign', '/report']) assert.equal((await call(path)).status, 200, path);
    assert.ok(runTool('fsfreeze', '-f', place));
    const waiting = Object.keys(calls).map(async (path) => [path, await call(path)] as const);
    // What needs no record is answered, and comes after them.
    for (let at = 0; at < 5; at += 1) await askDoor(daemon, '/facts', {});
    const locking = runWarm(['lock', 'ann', ...lockFor, '--socket', daemon.path('admin.sock')]);
    const isLocked = async (): Promise<boolean> =>
      (await Promise.race([call('/record').catch(() => undefined), pause(100)]))?.code === 'person';
    await until(isLocked, 'ann is locked');
    assert.ok(runTool('fsfreeze', '-u', place));
    for (const [path, { code, text }] of await Promise.all(waiting))
      assert.match(text, path === '/report' ? /this token is over/ : /ann is locked by/, `${path}: ${code}`);
    await locking;
    assert.equal(existsSync(daemon.path('state/drained.json')), false);
  });
  if (!isDone) t.skip('no ext4 that can be frozen here');
});
