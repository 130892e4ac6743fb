// Goal: peers that must log in, from accept to their first command. Phases: every access and every way through it; wrong ones, unreadable
// ones; waits, ends and drains in the middle. What must not happen: a password taken in clear, an answer that tells which of name and
// password was wrong, a record of somebody who did not log in, a session that stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import type { ListenerAccess } from '../../../src/gate/session/greet-peer.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { TlsOffer, TlsPeer } from '../../../src/host/ports/transport.js';
import { type Account, hashPassword, parsePasswordHash } from '../../../src/rules/identity/credentials.js';
import { replyPacket } from '../../kit/gate/memory-backend.js';
import {
  type MemoryEngine,
  type MemoryEngineOptions,
  openMemoryEngine,
} from '../../kit/gate/memory-engine.js';
import { columns } from '../../kit/plain/columns.js';
import { createFakeClock, settle as settleOnce } from '../../kit/plain/fake-clock.js';
import type { MemoryPeer } from '../../kit/plain/memory-transport.js';

const version = 'VERSION\tdoveadm-server\t1\t0\n';
const shown = { names: ['backup.example.com'], fingerprint: 'ab', authorities: ['authority'] };
const offer: TlsOffer = {
  certificate: { chain: 'chain', key: 'key' },
  clientCa: shown.authorities,
  protocols: [],
};
const hash = parsePasswordHash(await hashPassword(Buffer.from('secret'), 10));
if (typeof hash === 'string') assert.fail(hash);
const common = { policy: 'support', certificateName: undefined, passwordHash: undefined };
const accounts: readonly Account[] = [
  { ...common, name: 'migrator', passwordHash: hash },
  { ...common, name: 'backup', certificateName: 'backup.example.com' },
];

function plain(user: string, password: string, authzid = ''): string {
  return `PLAIN\t${Buffer.from(`${authzid}\0${user}\0${password}`).toString('base64')}\n`;
}

function open(access: Partial<ListenerAccess>, options: MemoryEngineOptions = {}): MemoryEngine {
  return openMemoryEngine({
    ...options,
    access: (clock) => ({
      protocol: 'doveadm',
      refusalCell: false,
      socket: undefined,
      isPreauthenticated: false,
      tls: 'starttls',
      offer: () => offer,
      plainWithoutTls: false,
      mayConnect: () => true,
      logins: new Logins('support', accounts, createLoginGuard(clock)),
      ...access,
    }),
  });
}

/** What strangers say waits for its turn. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await settleOnce();
}

/** The first bytes of a client that wants TLS at once. */
const hello = 'hello';

/** A peer that was accepted, from an address. */
async function accept(
  engine: MemoryEngine,
  address = '192.0.2.1',
  certificate?: TlsPeer,
  changes?: Partial<MemoryEngine['listener']>,
) {
  const { transport, peer } = engine.serve({ uid: undefined, address }, changes);
  peer.setCertificate(certificate);
  if (engine.context.access('support')?.tls === 'implicit') {
    peer.send(hello);
    await settle();
  }
  return { transport, peer, said: () => peer.received().toString('latin1') };
}

/** Lets hashes be computed, which takes another thread. */
async function untilSaid(
  client: { said(): string; transport: { closedFor: unknown } },
  text: string,
): Promise<void> {
  for (let n = 0; client.said() !== text && client.transport.closedFor === undefined; n += 1) {
    assert.ok(n < 20_000, JSON.stringify(client.said()));
    await settle();
  }
  assert.equal(client.said(), text);
}

/** A peer that says this, and is answered so. */
async function login(engine: MemoryEngine, said: string, answer: string, ...from: [string?, TlsPeer?]) {
  const client = await accept(engine, ...from);
  client.peer.send(said);
  await untilSaid(client, answer);
  return client;
}

const resultsOf = ({ events }: MemoryEngine): string[] =>
  events.flatMap((event) => (event.kind === 'login' || event.kind === 'login-failed' ? [event.type] : []));

async function assertEnds(engine: MemoryEngine, client?: { readonly peer: MemoryPeer }): Promise<void> {
  client?.peer.end();
  await engine.untilIdle();
  engine.pool.drain();
  engine.context.exchanges().floods.tell();
  await settle();
  assert.deepEqual([engine.clock.timers, engine.service.sessions], [0, 0]);
}

void test('STARTTLS, then PLAIN, then a command; the records say who, from where', async () => {
  const engine = open({});
  const client = await accept(engine);
  client.peer.send(version);
  await settle();
  assert.equal(client.said(), '-\n');
  client.peer.send('STARTTLS\nhello');
  await settle();
  assert.deepEqual(client.peer.tlsOffers, [{ offer, rest: Buffer.from('hello') }]);
  client.peer.send(plain('migrator', 'secret'));
  await untilSaid(client, '-\n+\n');
  client.peer.send('\talice@example.org\tquota get\n');
  await untilSaid(client, '-\n+\n\n+\n');
  await assertEnds(engine, client);
  assert.deepEqual(resultsOf(engine), ['ok']);
  const [admission] = engine.records.map(({ record }) => record);
  assert.deepEqual(
    [admission?.event, admission?.principal, admission?.peer?.address, admission?.peer?.certificate],
    ['admission', 'migrator@support', '192.0.2.1', undefined],
  );
});

void test('implicit TLS, then PLAIN; STARTTLS inside of it is refused', async () => {
  const engine = open({ tls: 'implicit' });
  const client = await login(engine, version + plain('migrator', 'secret'), '-\n+\n');
  assert.deepEqual(client.peer.tlsOffers, [{ offer, rest: Buffer.from(hello) }]);
  await login(engine, `${version}STARTTLS\n`, '-\n-\n');
  assert.deepEqual(resultsOf(engine), ['ok', 'malformed']);
  await assertEnds(engine, client);
});

void test('a client certificate: greeted at once with implicit TLS, its name still said after STARTTLS', async () => {
  const implicit = open({ tls: 'implicit' });
  const client = await accept(implicit, '192.0.2.1', shown);
  client.peer.send(`${version}\talice@example.org\tquota get\n`);
  await untilSaid(client, '+\n\n+\n');
  await assertEnds(implicit, client);
  const [opened] = implicit.records.map(({ record }) => record);
  assert.deepEqual([opened?.principal, opened?.peer?.certificate], ['backup@support', 'backup.example.com']);
  assert.deepEqual(resultsOf(implicit), ['certificate']);

  const engine = open({});
  for (const [user, password, expected] of [
    ['backup', '', '-\n+\n'],
    ['migrator', 'secret', '-\n-\n'],
  ] as const) {
    const asking = await accept(engine, '192.0.2.1', shown);
    asking.peer.send(`${version}STARTTLS\n`);
    await settle();
    asking.peer.send(plain(user, password));
    await untilSaid(asking, expected);
    if (asking.transport.closedFor === undefined) asking.peer.end();
  }
  assert.deepEqual(resultsOf(engine), ['certificate', 'failed']);
  await assertEnds(engine);
});

void test('a PROXY header is named where TLS or HTTP should begin, too', async () => {
  const header = Buffer.from('\r\n\r\n\0\r\nQUIT\n!', 'latin1');
  for (const access of [
    { tls: 'implicit' },
    { tls: 'implicit', protocol: 'http' },
    { tls: 'none', protocol: 'http' },
    { tls: 'none', protocol: 'http', isPreauthenticated: true },
  ] as const)
    for (const start of [header, Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n')]) {
      const engine = open(access);
      const { peer } = await engine.client(undefined, { address: '192.0.2.1' });
      peer.send(start);
      await assertEnds(engine);
      const text = 'unexpected-input: a PROXY header: this listener takes none';
      assert.deepEqual(
        engine.events.flatMap((event) => (event.kind === 'session-closed' ? event.text : [])),
        [text],
      );
    }
});

void test('a certificate of two accounts ends the session, and is told with both; nothing is asked of its password', async () => {
  const both = { ...shown, names: ['backup.example.com', 'mail.example.com'] };
  const mail = { ...common, name: 'mail', certificateName: 'mail.example.com' };
  for (const tls of ['implicit', 'starttls'] as const) {
    const guarded = new Logins('support', [...accounts, mail], createLoginGuard(createFakeClock()));
    const engine = open({ tls, logins: guarded });
    const client = await accept(engine, '192.0.2.1', both);
    client.peer.send(`${version}${tls === 'starttls' ? 'STARTTLS\n' : ''}${plain('backup', '')}`);
    await settle();
    assert.equal(client.transport.closedFor, 'login-failed');
    assert.doesNotMatch(client.said(), /\+/);
    await assertEnds(engine);
    const logins = engine.events.filter((event) => event.kind === 'login-failed');
    assert.deepEqual(columns(logins, 'type', 'text', 'level'), [
      [
        'ambiguous',
        'a certificate that fits several accounts, so it proves none, from 192.0.2.1: backup mail',
        'warn',
      ],
    ]);
    assert.deepEqual(engine.records, []);
  }
});

void test('whatever is wrong, the answer is the same; nothing is recorded, all of it is counted', async () => {
  const cases: readonly (readonly [string, string])[] = [
    [plain('migrator', 'wrong'), 'failed'],
    [plain('nobody', 'secret'), 'failed'],
    [plain('backup', ''), 'failed'],
    [plain('migrator', 'secret\0'), 'failed'],
    [plain('migrator', 'secret', 'migrator'), 'malformed'],
    ['PLAIN\tnonsense\n', 'malformed'],
    ['LOGIN\n', 'malformed'],
  ];
  for (const [line, result] of cases) {
    const engine = open({ tls: 'implicit' });
    const client = await login(engine, version + line, '-\n-\n');
    await settle();
    assert.equal(client.transport.closedFor, 'login-failed');
    assert.deepEqual(resultsOf(engine), [result], line);
    assert.deepEqual(engine.records, []);
    await assertEnds(engine);
  }
});

void test('no password in clear, unless the access says so; one try', async () => {
  const clear = open({});
  await login(clear, version + plain('migrator', 'secret'), '-\n-\n');
  assert.deepEqual(resultsOf(clear), ['in-clear']);
  const told = clear.events.find(({ kind }) => kind === 'login-failed');
  assert.match(
    told?.text ?? '',
    /^a password or key came without TLS, .* change it, .* as migrator, from 192\.0\.2\.1$/,
  );
  await assertEnds(clear);
  const loopback = open({ tls: 'none', plainWithoutTls: true });
  const two = await accept(loopback);
  two.peer.send(version + plain('migrator', 'wrong') + plain('migrator', 'secret'));
  await untilSaid(two, '-\n-\n');
  const right = await login(loopback, version + plain('migrator', 'secret'), '-\n+\n', '192.0.2.2');
  assert.deepEqual(resultsOf(loopback), ['failed', 'ok']);
  await assertEnds(loopback, right);
});

void test('TLS that comes to nothing, or cannot be offered, ends the session and is counted', async () => {
  const engine = open({ tls: 'implicit' });
  const client = await accept(engine);
  client.peer.send('x');
  client.peer.setTls('hang');
  engine.service.cut();
  await assertEnds(engine);
  const refusing = open({});
  const hopeless = await accept(refusing);
  hopeless.peer.setTls('refuse');
  hopeless.peer.send(`${version}STARTTLS\n`);
  await settle();
  assert.equal(hopeless.transport.closedFor, 'tls-failed');
  assert.deepEqual(resultsOf(refusing), ['tls-failed']);
  await assertEnds(refusing);
  // A key of HTTP where TLS was to begin.
  const clear = open({ tls: 'implicit' });
  const { peer } = clear.serve({ uid: undefined, address: '192.0.2.1' });
  peer.setTls('refuse');
  peer.send('POST /doveadm/v1 HTTP/1.1\r\nHost: gate\r\nAuthorization: Basic bWlncmF0b3I6c2VjcmV0\r\n\r\n[]');
  await settle();
  assert.deepEqual(resultsOf(clear), ['in-clear']);
  await assertEnds(clear);
  const without = open({ tls: 'implicit', offer: () => undefined });
  const unlucky = await accept(without);
  await settle();
  assert.equal(unlucky.transport.closedFor, 'tls-failed');
  await assertEnds(without);
  assert.deepEqual(without.records, []);
});

// bounds.strangerLineBytes
void test('a stranger’s line has 8 KiB, whatever a command line may have', async () => {
  const engine = open({ tls: 'implicit' });
  const client = await accept(engine);
  client.peer.send(`${version}PLAIN\t${'A'.repeat(8 * 1024)}`);
  await settle();
  assert.equal(client.transport.closedFor, 'wire-fault');
  await assertEnds(engine);
});

void test('what comes behind PLAIN in the same chunk is the first command', async () => {
  const engine = open({ tls: 'implicit' });
  const client = await accept(engine);
  client.peer.send(`${version}${plain('migrator', 'secret')}\talice@example.org\tquota get\n`);
  await untilSaid(client, '-\n+\n\n+\n');
  await assertEnds(engine, client);
});

// bounds.handshakeMs
void test('who waits too long, is gone, or is drained, ends and leaves nothing', async () => {
  for (const end of ['time', 'gone', 'drain'] as const) {
    const engine = open({ tls: 'none', plainWithoutTls: true });
    await login(engine, version + plain('migrator', 'wrong'), '-\n-\n');
    // Behind the pause of the one before.
    const client = await accept(engine);
    client.peer.send(version + plain('migrator', 'wrong again'));
    await settle();
    if (end === 'gone') client.peer.vanish();
    else if (end === 'drain') engine.service.abort();
    else client.transport.close('handshake-timeout');
    if (end === 'time') await engine.clock.advance(engine.settings.limits.handshakeMs);
    await assertEnds(engine);
    assert.notEqual(client.said(), '-\n+\n');
    assert.deepEqual(engine.records, []);
  }
});

void test('an account that a reload takes away: before its password was judged, and after', async () => {
  let isGone = false;
  const engine = open({ tls: 'none', plainWithoutTls: true });
  const { context } = engine;
  const policy: typeof context.policy = (...asked) => (isGone ? undefined : context.policy(...asked));
  const serve = () => accept(engine, undefined, undefined, { context: { ...context, policy } });
  const idle = await serve();
  idle.peer.send(version + plain('migrator', 'secret'));
  await untilSaid(idle, '-\n+\n');
  const silent = await serve();
  silent.peer.send(version);
  await settle();
  isGone = true;
  engine.service.reviewRights();
  assert.deepEqual([idle.transport.closedFor, silent.transport.closedFor], ['revoked', undefined]);
  silent.peer.send(`${plain('migrator', 'secret')}\talice@example.org\tquota get\n`);
  while (silent.transport.closedFor === undefined) await settle();
  assert.equal(silent.transport.closedFor, 'revoked');
  assert.deepEqual(engine.commands, []);
  await assertEnds(engine);
});

void test('authorities of clients that change end who came by a certificate, within and after his handshake; nobody else', async () => {
  let now = offer;
  const engine = open({ offer: () => now });
  engine.setAnswer(() => undefined);
  const begin = async (user: string, password: string) => {
    const most = {
      sessionsMax: 4,
      sessionsPerPeerMax: 4,
      unauthenticatedMax: 4,
      unauthenticatedPerPeerMax: 4,
    };
    const client = await accept(engine, undefined, user === 'backup' ? shown : undefined, most);
    client.peer.send(`${version}STARTTLS\n`);
    await settle();
    return { ...client, finish: () => client.peer.send(plain(user, password)) };
  };
  const clients = [
    await begin('backup', ''),
    await begin('backup', ''),
    await begin('backup', ''),
    await begin('migrator', 'secret'),
  ];
  const [idle, busy, late, byPassword] = clients;
  assert.ok(idle && busy && late && byPassword);
  for (const client of [idle, busy, byPassword]) {
    client.finish();
    await untilSaid(client, '-\n+\n');
  }
  busy.peer.send('\talice@example.org\tquota get\n');
  await settle();
  const closed = () => clients.map(({ transport }) => transport.closedFor);
  now = { ...offer, clientCa: ['another', ...shown.authorities] };
  engine.service.reviewRights();
  assert.deepEqual(closed(), [undefined, undefined, undefined, undefined]);
  now = { ...offer, clientCa: ['another'] };
  engine.service.reviewRights();
  late.finish();
  await settle();
  assert.deepEqual(closed(), ['revoked', undefined, 'revoked', undefined]);
  engine.commands[0]?.end.peer.send(replyPacket('row\t\n+\n'));
  await settle();
  assert.deepEqual(closed(), ['revoked', 'revoked', 'revoked', undefined]);
  assert.match(busy.said(), /row\t\n\+\n$/);
  await assertEnds(engine, byPassword);
});

void test('where there is no room: the oldest that is silent goes for a newcomer; a login that is checked, and who logged in, stay', async () => {
  const engine = open({ tls: 'none', plainWithoutTls: true });
  const known = await login(engine, version + plain('migrator', 'secret'), '-\n+\n', '192.0.2.7');
  for (let n = 0; n < bounds.loginFailures; n += 1) {
    await login(engine, version + plain('migrator', `wrong ${n}`), '-\n-\n');
    await settle();
  }
  // It waits for a token.
  const checked = await accept(engine);
  checked.peer.send(version + plain('migrator', 'wrong'));
  const silent = await accept(engine, '192.0.2.3');
  const another = await accept(engine, '192.0.2.6');
  await settle();
  assert.deepEqual(engine.service.sessionsByListener().get('support'), {
    known: 1,
    unauthenticated: engine.listener.unauthenticatedMax,
  });
  const newcomer = await accept(engine, '192.0.2.4');
  await settle();
  assert.deepEqual(
    [known, checked, silent, another, newcomer].map(({ transport }) => transport.closedFor),
    [undefined, undefined, 'sessions-limit', undefined, undefined],
  );
  const late = await accept(engine, '192.0.2.5');
  assert.deepEqual(
    [known, checked, another, newcomer, late].map(({ transport }) => transport.closedFor),
    [undefined, undefined, 'sessions-limit', undefined, undefined],
  );
  newcomer.peer.send(version + plain('migrator', 'secret'));
  await untilSaid(newcomer, '-\n+\n');
  engine.service.cut();
  await assertEnds(engine);
});

// bounds.shownNameChars
void test('of a name that nobody proved only the beginning is told', async () => {
  const engine = open({ tls: 'implicit' });
  await login(engine, version + plain('m'.repeat(1_000), 'wrong'), '-\n-\n');
  const told = engine.events.flatMap((event) => (event.kind === 'login-failed' ? [event.account] : []));
  assert.deepEqual(told, ['m'.repeat(bounds.shownNameChars)]);
  await assertEnds(engine);
});
