// Goal: a gate joins, gets other credentials and leaves while others ship to a real server: no connection of theirs ends, their lag
// stays as it was, the server is not reloaded. What must not happen: credentials that were replaced and still work, or work again after a
// restart or by an older copy of the administrator's files, and an `issue` that says it is done when the server does not know it.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endGate, formatServerTrust, parseTrust } from '../../../src/evidence/fleet-cli/fleet-trust.js';
import { parseJoinFile } from '../../../src/evidence/fleet-cli/join-file.js';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';
import { writeJournal } from '../../evidence/cli/shown.js';
import { natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { openNatsCluster } from '../../kit/gate/nats-cluster.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { layFleet, readLines, send, skipOf } from './fleet-lab.js';
import { openFleetGate } from './gate.js';

const others = ['gate1', 'gate2'] as const;

for (const release of natsReleases)
  test(`a gate joins while others ship (${release})`, { timeout: 600_000 }, async (t) => {
    const [monitor = 0] = await freePorts(1);
    const nats = await openNatsServer(t, { gates: others, release, more: `http: "127.0.0.1:${monitor}"` });
    if (skipOf(t, nats)) return;
    const config = layFleet(nats, others);
    const fleet = (...args: string[]) => runWarm(['audit', 'fleet', ...args, '--config', config]);
    const look = async (page: string): Promise<Readonly<Record<string, unknown>>> =>
      Object(await (await fetch(`http://127.0.0.1:${monitor}/${page}`)).json());
    /** Of the gates: a new number is a new connection. */
    const connections = async (): Promise<Readonly<Record<string, number>>> => {
      const found: unknown = (await look('connz?limit=1000'))['connections'];
      const rows = Array.isArray(found)
        ? found.map((each): Readonly<Record<string, unknown>> => Object(each))
        : [];
      const known = others.map((host) => {
        const own = rows.filter(({ name }) => name === `dovegate ${host}`);
        assert.equal(own.length, 1, `${host}: ${JSON.stringify(rows)}`);
        return [host, Number(own[0]?.['cid'])];
      });
      return Object.fromEntries(known);
    };
    const serverNow = async () => {
      const { server_id, start, config_load_time } = await look('varz');
      return { server_id, start, config_load_time };
    };
    /** With the credentials that `issue` made last. */
    const openAs = (host: string): Promise<NatsLink> => {
      const file = parseJoinFile(readFileSync(join(nats.folder, `fleet/admin/${host}.join`), 'utf8'));
      writeFileSync(join(nats.folder, `${host}.creds`), file?.credentials ?? '', { mode: 0o600 });
      return openNats(nats.settingsOf(host));
    };
    const isRefused = async (host: string, what: string): Promise<void> => {
      const fault = await openNats(nats.settingsOf(host)).catch((thrown: unknown) => thrown);
      assert.ok(fault instanceof NatsFault && fault.code === 'auth-rejected', `${what}: ${String(fault)}`);
    };

    const made = await fleet('init');
    assert.equal(made.exit, 0, made.text);
    assert.match(made.text, /^the server knows the accounts of 2 gates$/m);
    const gates = await Promise.all(others.map((host) => openFleetGate(t, nats, { host })));
    t.after(() => Promise.all(gates.map((gate) => gate.rest())));
    for (const gate of gates) gate.work();
    for (const gate of gates) await gate.untilAnswered(200);
    for (const gate of gates) await gate.untilShipped();
    const before = { connections: await connections(), server: await serverNow() };

    /** The largest lag of the two while `work` runs, and how often it was looked at. */
    const lagWhile = async (work: () => Promise<unknown>): Promise<readonly [number, number]> => {
      const over = new AbortController();
      let [most, looks] = [0, 0];
      const watching = (async () => {
        while (!over.signal.aborted) {
          const lags = await Promise.all(gates.map((gate) => gate.lag()));
          most = Math.max(most, ...lags);
          looks += 1;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      })();
      await work();
      over.abort();
      await watching;
      return [most, looks];
    };
    const lines = readLines(await writeJournal(t));
    let link: NatsLink | undefined;
    const [usual] = await lagWhile(() => Promise.all(gates.map((gate) => gate.untilAnswered(300))));
    let issued = '';
    const [joining, looks] = await lagWhile(async () => {
      const done = await fleet('issue', 'gate3');
      assert.equal(done.exit, 0, done.text);
      issued = done.text;
      link = await openAs('gate3');
      await send(link, 'gate3', lines);
    });
    t.diagnostic(
      `lag: at most ${usual} records before, ${joining} while it joined (${looks} looks); ${issued}`,
    );
    assert.ok(looks > 3);
    assert.ok(joining <= 3 * usual + 300, `${joining} records, and ${usual} before`);
    assert.match(issued, /^new credentials for gate3$/m);
    assert.match(issued, /^next: ssh root@gate3 dovegate audit fleet join < /m);
    assert.match(readFileSync(config, 'utf8'), /^ {2}"gate3": /m);
    const undisturbed = async (what: string): Promise<void> => {
      assert.deepEqual({ connections: await connections(), server: await serverNow() }, before, what);
      for (const gate of gates) {
        const told = gate.ship.logs.filter(({ event }) => event === 'ship-away');
        assert.deepEqual(told, [], what);
      }
    };
    await undisturbed('it joined');

    // Stolen: other credentials end the ones before at once, also a connection that is open.
    const thief = link;
    assert.ok(thief !== undefined);
    const again = await fleet('issue', 'gate3');
    assert.equal(again.exit, 0, again.text);
    assert.ok((await thief.ended) instanceof NatsFault);
    await isRefused('gate3', 'the older ones');
    const renewed = await openAs('gate3');
    await undisturbed('other credentials');

    // So do a new user of the verifiers, and of the administrator.
    const verifier = await openNats(nats.settingsOf('verifier'));
    assert.equal((await fleet('issue', 'verifier')).exit, 0);
    assert.ok((await verifier.ended) instanceof NatsFault);
    await isRefused('verifier', 'the older ones of the verifier');
    const status = await fleet('verify');
    assert.ok(status.exit <= 1 && status.text.includes('read '), status.text);
    const administrator = await fleet('issue', 'administrator');
    assert.equal(administrator.exit, 0, administrator.text);
    for (const user of ['admin', 'system']) await isRefused(user, 'the older ones');
    const inited = await fleet('init');
    assert.equal(inited.exit, 0, inited.text);
    await undisturbed('other users of AUDIT and SYS');

    const account = join(nats.folder, 'fleet/admin/accounts/gate3.jwt');
    const copied = readFileSync(account);
    const removed = await fleet('remove', 'gate3');
    assert.equal(removed.exit, 0, removed.text);
    assert.ok((await renewed.ended) instanceof NatsFault);
    await isRefused('gate3', 'it is removed');
    assert.doesNotMatch(readFileSync(config, 'utf8'), /gate3/);
    await undisturbed('a gate left');
    // A copy of the administrator's files from before.
    const ended = readFileSync(account);
    writeFileSync(account, copied);
    const older = await fleet('init');
    assert.equal(older.exit, 78, older.text);
    assert.match(older.stderr, /the server has a newer account GATE_gate3: \S+ is an older copy, /);
    await isRefused('gate3', 'an older copy');
    writeFileSync(account, ended);
    assert.equal((await fleet('init')).exit, 0);
    const unknown = await fleet('remove', 'gate9');
    assert.equal(unknown.exit, 64, unknown.text);

    for (const gate of gates) await gate.rest();
    for (const gate of gates) await gate.catchUp();

    // The server is away: it is said, and `init` makes up for it.
    await nats.stop();
    const away = await fleet('issue', 'gate1');
    assert.equal(away.exit, 69, away.text);
    assert.match(away.stderr, /the server was not told, and older credentials still work: /);
    assert.match(away.text, /^next: dovegate audit fleet init --config /m);
    await nats.start();
    await (await openNats(nats.settingsOf('gate1'))).close();
    assert.equal((await fleet('init')).exit, 0);
    await isRefused('gate1', 'after init');
    await (await openAs('gate1')).close();
    await isRefused('gate3', 'removed, after a restart');
    // Its configuration has older accounts of these than its folder.
    for (const user of ['verifier', 'admin', 'system']) await isRefused(user, 'replaced, after a restart');

    // It lost its accounts; of those in its configuration, server.sh has the present ones.
    await nats.stop();
    rmSync(join(nats.folder, 'accounts'), { recursive: true });
    const own = join(nats.folder, 'nats.conf');
    const trust = parseTrust(readFileSync(join(nats.folder, 'fleet/admin/trust.json'), 'utf8'));
    assert.ok(trust !== undefined && nats.trust !== undefined);
    const old = formatServerTrust(nats.trust.trust);
    const configuration = readFileSync(own, 'utf8');
    assert.ok(configuration.includes(old));
    writeFileSync(own, configuration.replace(old, formatServerTrust(trust)));
    assert.ok(
      readFileSync(join(nats.folder, 'fleet/admin/server.sh'), 'utf8').includes(formatServerTrust(trust)),
    );
    await nats.start();
    await isRefused('gate1', 'no accounts');
    const restored = await fleet('init');
    assert.match(restored.text, /^the server knows the accounts of 3 gates$/m);
    await (await openAs('gate1')).close();
    await isRefused('gate3', 'removed, and given again as such');
    for (const gate of gates) await gate.stop();
  });

test('a gate is removed at every server of a cluster, also at one that was away', {
  timeout: 600_000,
}, async (t) => {
  const cluster = await openNatsCluster(t, ['gate1', 'gate2']);
  if (skipOf(t, cluster)) return;
  const { trust, accounts } = cluster.trust;
  const openAt = async (user: string, server: number): Promise<NatsLink> => {
    const link = await openNats(cluster.settingsOf(user, [server]));
    t.after(() => link.close());
    return link;
  };
  const isRefusedAt = async (server: number): Promise<boolean> => {
    const fault = await openAt('gate1', server).catch((thrown: unknown) => thrown);
    return fault instanceof NatsFault && fault.code === 'auth-rejected';
  };
  const [gate, other] = [await openAt('gate1', 1), await openAt('gate2', 1)];
  await (await openAt('gate1', 2)).close();
  await cluster.kill(2);
  const ended = endGate(trust, 'gate1', accounts.get('gate1') ?? '', Date.now());
  await (await openAt('system', 0)).pushAccount(ended);
  assert.ok((await gate.ended) instanceof NatsFault);
  assert.deepEqual(await Promise.all([0, 1].map(isRefusedAt)), [true, true]);
  await cluster.start(2);
  await until(() => isRefusedAt(2), 'the server that was away does not know it any more');
  assert.equal(await Promise.race([other.ended, Promise.resolve('connected')]), 'connected');
});
