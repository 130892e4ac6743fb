// Goal: a lock stops a person at once, at the built daemon with real sockets, and stays until somebody lifts it or its time is over.
// Phases: a thousand commands under way of which one person's are locked; the same human by another uid, an account and a key; a restart;
// `state` of another day; kill -9 at random moments. What must not happen: a command of the locked one at the backend after the answer of
// `lock`; a command of another one that is stopped; a lock that a start does not know; a lift that was answered and does not hold.
// DOVEGATE_ROUNDS=67 makes 200 kills.
// bounds.lockMs: the answers to locks that are refused.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from '../../../src/client/connect.js';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash, openAccount } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be several users');
const rounds = 3 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const annas = [64_101, 64_102];
const others = [64_201, 64_202, 64_203, 64_204, 64_205, 64_206, 64_207, 64_208];
/** A thousand in the full run. */
const many = 200 * Math.min(5, Number(process.env['DOVEGATE_ROUNDS'] ?? 1));

const key = makeKey(randomBytes(keyBytes));

interface Opened extends Gateway {
  readonly tcp: number;
  readonly http: number;
  readonly as: (uid: number, daemon?: Daemon) => Promise<RawClient>;
  readonly program: (verb: string, ...args: string[]) => ReturnType<typeof runWarm>;
}

async function open(owner: Parameters<typeof openGateway>[0], backend = {}): Promise<Opened> {
  const [tcp = 0, http = 0] = await freePorts(2);
  const gateway = await openGateway(owner, {
    listeners: `
  support: { unix: support.sock, mode: "0666", policy: support, sessions: 1200, sessions_per_peer: 600 }
  leads:
    tcp: "127.0.0.1:${tcp}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts: { carol: { password_hash: "${hash}", policy: support }, dave: { password_hash: "${hash}", policy: support } }
  panel:
    tcp: "127.0.0.1:${http}"
    protocol: http
    tls: { certificate: gate.crt, key: gate.key }
    keys: { robot: { hash: "${hashKey(key)}", policy: support } }`,
    policy: '\n    users: ["*@example.org"]\n    allow: [quota get, mailbox delete]',
    audit: '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, segment: 64KiB }',
    more: `persons: { anna: { users: ["${annas.join('", "')}"], accounts: [carol], keys: [robot] } }
limits: { queue: 2000, queue_timeout: 5m }
admin: { unix: admin.sock }`,
    files: { ...filesOf(authority), robot: key, 'authority.pem': authority.certificatePem },
    mail1: { connections: '8' },
    backend,
  });
  const { daemon } = gateway;
  chmodSync(daemon.folder, 0o755);
  return {
    ...gateway,
    tcp,
    http,
    as: (uid) =>
      openRawClient({ owner, path: daemon.path('support.sock'), minor: 2, uid, timeoutMs: 120_000 }),
    program: (verb, ...args) => runWarm([verb, '--socket', daemon.path('admin.sock'), ...args]),
  };
}

const quota = (user = 'bob@example.org') => ({ user, fields: ['quota get'] });
const lockAnna = ['anna', '--for', '2h', '--reason', 'her laptop was stolen'];

interface Status {
  readonly locks: readonly { readonly id: string }[];
  readonly exchanges: readonly unknown[];
}

async function statusOf(daemon: Daemon): Promise<Status> {
  return JSON.parse((await askHttp({ socketPath: daemon.path('admin.sock') }, '/status.json')).body);
}

function verify(daemon: Daemon): ReturnType<typeof runWarm> {
  return runWarm(['audit', 'verify', daemon.path('audit'), '--key', daemon.path('audit/key.pub')]);
}

async function isLocked(client: RawClient): Promise<boolean> {
  const { status, logs } = await client.ask(quota());
  const text = logs.map((log) => log.text).join();
  if (status === '-NOPERM')
    assert.match(text, /anna is locked by root until \S+: her laptop was stolen \[locked\]/);
  else assert.equal(status, '+', text);
  return status === '-NOPERM';
}

test('what a lock stops', asRoot, async (t) => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const opened = await open(t, {
    script: async (_command: unknown, connection: { status: (text: string) => Promise<void> }) => {
      await released;
      await connection.status('+');
    },
  });
  await t.test(
    'many commands under way: none of the locked person is sent after the answer, all others go on',
    async () => {
      await lockUnderWay(opened, release);
    },
  );
  await t.test('the same human by each way in; what may be locked, and who lifts it', async () => {
    await lockEachWay(opened);
  });
});

async function lockUnderWay({ as, program, backend, daemon }: Opened, release: () => void): Promise<void> {
  const uids = Array.from(
    { length: many },
    (_, at) => (at % 5 === 0 ? annas[(at / 5) % 2] : others[at % others.length]) ?? 0,
  );
  const clients: { readonly isHers: boolean; readonly reply: Promise<string> }[] = [];
  for (const [at, uid] of uids.entries()) {
    const client = await as(uid);
    // Each of another mail user, so that none waits for another's.
    client.sendCommand(quota(`u${at}@example.org`));
    clients.push({ isHers: annas.includes(uid), reply: client.readReply().then(({ status }) => status) });
  }
  while ((await statusOf(daemon)).exchanges.length < many) await pause(50);
  const locked = await program('lock', ...lockAnna);
  assert.equal(locked.exit, 0, locked.text);
  assert.match(locked.text, /^anna is locked until \S+, lock \w{26}/);
  const hers = new Set(uids.flatMap((uid, at) => (annas.includes(uid) ? [`u${at}@example.org`] : [])));
  const sentBefore = backend.commands.filter(({ user }) => hers.has(user)).length;
  release();
  const statuses = await Promise.all(
    clients.map(async ({ isHers, reply }) => ({ isHers, status: await reply })),
  );
  assert.equal(backend.commands.filter(({ user }) => hers.has(user)).length, sentBefore);
  const count = (isHers: boolean, status: string): number =>
    statuses.filter((each) => each.isHers === isHers && each.status === status).length;
  assert.equal(count(false, '+'), many - hers.size);
  assert.equal(count(true, '+'), sentBefore);
  assert.equal(count(true, '-NOPERM'), hers.size - sentBefore);
  const ended = daemon
    .audit()
    .filter(({ record }) => record['event'] === 'completion' && record['error'] === 'locked');
  assert.equal(ended.length, hers.size - sentBefore);
  const { locks } = await statusOf(daemon);
  assert.ok(ended.every(({ record }) => record['lock'] === locks[0]?.id && record['sent'] === false));
  assert.equal((await program('unlock', 'anna', '--reason', 'it was found')).exit, 0);
}

async function lockEachWay({ as, program, daemon, tcp, http }: Opened): Promise<void> {
  const before = daemon.audit().length;
  const url = `https://localhost:${http}`;
  const overHttp = async (): Promise<string> => {
    const session = await connect({ url, key, ca: authority.certificatePem });
    try {
      await session.run({ user: 'bob@example.org', name: 'quota get' });
      return 'ok';
    } catch (fault) {
      return String(Object(fault).reason);
    } finally {
      await session.close();
    }
  };
  const ways = [() => as(annas[0] ?? 0), () => as(annas[1] ?? 0), () => openAccount(tcp, 'carol')];
  for (const way of ways) assert.equal(await isLocked(await way()), false);
  assert.equal(await overHttp(), 'ok');
  const [dave, other] = [await openAccount(tcp, 'dave'), await as(others[0] ?? 0)];

  for (const [args, text] of [
    [['root', '--for', '1h', '--reason', 'x'], /root is not locked/],
    [['0', '--for', '1h', '--reason', 'x'], /root is not locked/],
    [['nobody-of-that-name', '--for', '1h', '--reason', 'x'], /there is no person/],
    [['key:nothing', '--for', '1h', '--reason', 'x'], /there is no key nothing/],
    [['listener:x', '--for', '1h', '--reason', 'x'], /there is no listener x/],
    [['backend:x', '--for', '1h', '--reason', 'x'], /there is no backend x/],
    [['user:*@example.org', '--for', '1h', '--reason', 'x'], /no name of one mail user/],
    [['anna', '--for', '8d', '--reason', 'x'], /at most 7 d/],
    [['anna', '--for', '59s', '--reason', 'x'], /at least 1 min/],
    [['anna', '--for', '1h', '--reason', ' '], /say why/],
  ] as const) {
    const refused = await program('lock', ...args);
    assert.notEqual(refused.exit, 0);
    assert.match(refused.text, text);
  }
  assert.equal((await program('lock', 'anna', '--for', '1h')).exit, 64);
  assert.equal((await program('lock', 'anna', '--reason', 'x')).exit, 64);

  assert.equal((await program('lock', ...lockAnna)).exit, 0);
  for (const way of ways) assert.equal(await isLocked(await way()), true);
  assert.equal(await overHttp(), 'locked');
  for (const client of [dave, other]) assert.equal(await isLocked(client), false);
  const shown = await program('status');
  assert.match(shown.text, /LOCKED +BY +UNTIL.*\n.*anna +root/);

  assert.match(shown.text, /^anna is locked by root until .*: her laptop was stolen$/m);
  const told = await runWarm([
    'can',
    '--http',
    url,
    '--ca',
    daemon.path('authority.pem'),
    '--key-file',
    daemon.path('robot'),
  ]);
  assert.match(told.text, /^locked +anna is locked by root until /m);
  const client = await as(annas[0] ?? 0);
  const explained = await client.ask({
    user: '',
    fields: ['dovegate explain', '-u', 'bob@example.org', '--', 'quota', 'get'],
  });
  assert.match(explained.body.toString(), /locked\tanna is locked by root until /);
  const behind = (login: number): string => {
    const ask = `require('http').request({ socketPath: process.argv[1], method: 'POST', path: '/kill/X' }, (answer) => answer.pipe(process.stdout)).end()`;
    const script = `echo ${login} > /proc/self/loginuid; exec "$@"`;
    const words = ['-ec', script, 'sh', process.execPath, '-e', ask, daemon.path('admin.sock')];
    return execFileSync('sh', words, { encoding: 'utf8' });
  };
  // A process that has a login already cannot take another one.
  if (readFileSync('/proc/self/loginuid', 'utf8').trim() === String(2 ** 32 - 1)) {
    assert.match(behind(annas[1] ?? 0), /^anna is locked by root until /);
    assert.match(behind(others[0] ?? 0), /^no command X runs/);
  }
  assert.match((await program('unlock', 'dave', '--reason', 'x')).text, /there is no lock dave/);
  for (const [target, reason, said] of [
    ['anna', '', /say why/],
    ['anna', 'x'.repeat(5_000), /a reason has at most/],
    ['', 'x', /name whom/],
  ] as const) {
    const { exit, text } = await program('unlock', target, '--reason', reason);
    assert.equal(exit, 64);
    assert.match(text, said);
  }
  for (const [[command, ...words], said] of [
    [['kill', ''], /name whom or what/],
    [['confirm', ''], /name whom or what/],
    [['backend', 'drain', ''], /name whom or what/],
    [['backend', 'drain', 'mail1', '--reason', ''], /say why/],
  ] as const) {
    const { exit, text } = await program(command, ...words);
    assert.deepEqual([exit, said.test(text)], [64, true], text);
  }
  const lifted = await program('unlock', 'anna', '--reason', 'it was found');
  assert.deepEqual([lifted.exit, lifted.text.trim()], [0, 'anna is unlocked']);
  for (const way of ways) assert.equal(await isLocked(await way()), false);

  // A key alone; a listener; a backend; a mail user.
  for (const [target, isKeys, isHers, isOthers] of [
    ['key:robot', true, false, false],
    ['listener:support', false, true, true],
    ['backend:mail1', true, true, true],
    ['user:BOB@example.org', true, true, true],
  ] as const) {
    const made = await program('lock', target, '--for', '1h', '--reason', 'x', '--kill');
    assert.match(
      made.text,
      / is locked until \S+, lock \w{26}; 0 commands ended(?:\. Without `resolve` .*)?$/m,
    );
    assert.equal(await overHttp(), isKeys ? 'locked' : 'ok', target);
    assert.equal((await (await as(annas[0] ?? 0)).ask(quota())).status === '-NOPERM', isHers, target);
    assert.equal((await other.ask(quota())).status === '-NOPERM', isOthers, target);
    const [lock] = (await statusOf(daemon)).locks;
    assert.equal((await program('unlock', lock?.id ?? '', '--reason', 'x')).exit, 0);
  }
  const records = daemon
    .audit()
    .slice(before)
    .map(({ record }) => record);
  assert.deepEqual(
    records
      .filter(({ event }) => event === 'lock')
      .map(({ action, by }) => `${String(action)} ${String(by)}`),
    Array.from({ length: 5 }, () => ['locked root', 'unlocked root']).flat(),
  );
  assert.equal((await verify(daemon)).exit, 0);
}

test('locks and holds survive restarts, kill -9, and a `state` or a journal of before', asRoot, async (t) => {
  const opened = await open(t);
  const { as, program, daemon: first, backend } = opened;
  let daemon = first;
  const start = async (change: () => void = () => undefined): Promise<void> => {
    await daemon.kill();
    change();
    daemon = await startDaemon(t, { folder: first.folder });
  };
  const statusOfHers = async (): Promise<string> => {
    const client = await as(annas[1] ?? 0);
    const { status } = await client.ask(quota());
    client.close();
    return status;
  };
  const isHerLocked = async (): Promise<boolean> => {
    const client = await as(annas[1] ?? 0);
    const answer = await isLocked(client);
    client.close();
    return answer;
  };
  /** The destroying command is refused, and everything else goes on. */
  const isHeld = async (): Promise<boolean> => {
    const client = await as(others[0] ?? 0);
    const before = backend.commands.length;
    const { status, logs } = await client.ask({
      user: 'bob@example.org',
      fields: ['mailbox delete', 'Old'],
    });
    const text = logs.map((log) => log.text).join();
    if (status === '-NOPERM')
      assert.match(text, /user bob@example\.org is held by root since \S+, reason: case 17; .* \[held\]/);
    assert.equal((await client.ask(quota())).status, '+');
    assert.equal(backend.commands.length - before, status === '-NOPERM' ? 1 : 2);
    client.close();
    return status === '-NOPERM';
  };
  const are = async (isAnnaLocked: boolean, isBobHeld: boolean, what: string): Promise<void> =>
    assert.deepEqual([await isHerLocked(), await isHeld()], [isAnnaLocked, isBobHeld], what);
  const copy = (from: string, to: string): void => {
    rmSync(first.path(to), { recursive: true, force: true });
    cpSync(first.path(from), first.path(to), { recursive: true });
  };
  const isKept = (text: string): boolean => {
    const file = first.path('state/locks.json');
    return existsSync(file) && readFileSync(file, 'utf8').includes(text);
  };
  copy('state', 'state-before');
  copy('audit', 'audit-older');
  await are(false, false, 'before');

  // A hold has no end, and one person alone does not lift it.
  assert.equal((await program('lock', 'user:bob@example.org', '--reason', 'x')).exit, 64);
  assert.notEqual((await program('lock', 'carol', '--destroying', '--reason', 'x')).exit, 0);
  const made = await program('lock', 'user:bob@example.org', '--destroying', '--reason', 'case 17');
  assert.equal(made.exit, 0, made.text);
  assert.match(made.text, /^user:bob@example\.org is held, hold \w{26}; .* binds this gate only: not IMAP/);
  assert.match((await program('status')).text, /user:bob@example\.org +root +two lift it \(hold\)/);
  const asked = await program('unlock', 'user:bob@example.org', '--reason', 'over');
  assert.equal(asked.exit, 0, asked.text);
  assert.equal((await program('lock', ...lockAnna)).exit, 0);
  const isRefusedAgain = async (): Promise<void> => {
    const asking = /two lift it \(hold; root asked to lift it, until \S+ \S+\)/;
    assert.match((await program('status')).text, asking);
    const again = await program('unlock', 'user:bob@example.org', '--reason', 'over');
    assert.notEqual(again.exit, 0);
    assert.match(again.text, /root asked to lift it, and the second is another person/);
  };

  await daemon.stop();
  daemon = await startDaemon(t, { folder: first.folder });
  await are(true, true, 'a restart');
  await start(() => copy('state-before', 'state'));
  await are(true, true, 'kill -9, and a state of before');
  await isRefusedAgain();
  assert.equal((await verify(daemon)).exit, 0);

  await t.test('kill -9 at random moments: what was answered holds after the start', async () => {
    daemon = await killAtRandom(t, opened, daemon);
  });
  if ((await statusOfHers()) === '-NOPERM')
    assert.equal((await program('unlock', 'anna', '--reason', 'found')).exit, 0);
  assert.equal((await program('lock', ...lockAnna)).exit, 0);

  // Without the journal, or with an older copy of it.
  await until(() => isKept('case 17') && isKept('her laptop was stolen'), 'lock and hold are kept');
  await start(() => renameSync(first.path('audit'), first.path('audit-old')));
  assert.ok(daemon.logs.some((each) => each['event'] === 'locks-kept'));
  await are(true, true, 'no journal');
  await start(() => cpSync(first.path('audit-old'), first.path('audit'), { recursive: true, force: false }));
  await are(true, true, 'its files are back');
  await start(() => copy('audit-older', 'audit'));
  await are(true, true, 'an older copy');

  // What was lifted then is over.
  copy('state', 'state-locked');
  assert.equal((await program('unlock', 'anna', '--reason', 'found')).exit, 0);
  await until(() => !isKept('stolen'), 'the lift is kept');
  await start(() => copy('state-locked', 'state'));
  await are(false, true, 'lifted, and a state of before');
  await until(() => !isKept('stolen'), 'the lift is kept again');
  await start(() => renameSync(first.path('audit'), first.path('audit-last')));
  await are(false, true, 'lifted, and no journal');
});

/** Locks and unlocks anna, who is locked, while the daemon is killed; the last daemon. */
async function killAtRandom(
  t: TestContext,
  { as, daemon: first, backend }: Opened,
  begun: Daemon,
): Promise<Daemon> {
  let daemon = begun;
  /** She is locked at the start. Undefined: the answer to the last step did not come. */
  let isHeld: boolean | undefined = true;
  let checked = 0;
  const post = async (path: string): Promise<number> => {
    const where = { socketPath: first.path('admin.sock'), path, method: 'POST', agent: false };
    const [answer] = await once(request(where).end(), 'response');
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode;
  };
  const steps = async (over: AbortSignal): Promise<void> => {
    try {
      for (let isLocking = isHeld !== true; !over.aborted; isLocking = !isLocking) {
        isHeld = undefined;
        const status = await post(isLocking ? '/lock/anna/3600000/stolen' : '/unlock/anna/found');
        // One that was not answered before the last kill may have been there.
        if (status === 200 || (!isLocking && status === 404)) isHeld = isLocking;
        else return;
        // So that some kills come between two steps.
        await pause(Math.random() * 30);
      }
    } catch {
      // It was killed.
    }
  };
  for (let round = 0; round < rounds; round += 1) {
    const over = new AbortController();
    const done = steps(over.signal);
    await pause(Math.random() * 200);
    over.abort();
    await daemon.kill();
    await done;
    daemon = await startDaemon(t, { folder: first.folder });
    const before = backend.commands.length;
    const client = await as(annas[round % 2] ?? 0);
    const { status } = await client.ask(quota());
    const isStopped = status === '-NOPERM';
    assert.equal(backend.commands.length - before, isStopped ? 0 : 1);
    if (isHeld !== undefined) {
      assert.equal(isStopped, isHeld, `round ${round}`);
      checked += 1;
    }
    client.close();
    isHeld = isStopped;
  }
  t.diagnostic(`${checked} of ${rounds} kills came between two answers`);
  assert.equal((await verify(first)).exit, 0);
  return daemon;
}
