// Goal: connections that prove nothing keep no right key and no right password out, also of their own address. Phases: 520 silent
// connections at a listener of HTTP and at one with STARTTLS; the same, reconnecting as fast as they are closed; connections that send
// half a line or half of a TLS handshake. Beside each of them, right keys and right logins of the same address, which try again as clients
// do: on a slow machine a handshake may take longer than the oldest of 500 may stay. What must not happen: a right one that is not
// answered; more connections held than the limits permit; a proven session that is closed for a newcomer.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { hashKey, keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { authority, filesOf, hash, isServed, password } from '../../kit/gate/tcp-gate.js';
import { countDescriptors } from '../../kit/plain/descriptors.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { askRaw, authorizationOf, encodePost, openRawHttp } from '../../kit/plain/raw-http.js';
import { type Crowd, gather } from '../../kit/plain/silent-crowd.js';
import { until } from '../../kit/plain/until.js';

const strangers = 520;
const keysAsked = 25;
const loginsAsked = 10;
const triesMax = 5;
const sessionsPerPeer = 500;

async function openBoth(t: TestContext) {
  const [panel = 0, jobs = 0] = await freePorts(2);
  const key = makeKey(randomBytes(keyBytes));
  const gateway = await openGateway(t, {
    listeners: `
  panel: { tcp: "127.0.0.1:${panel}", protocol: http, tls: { mode: implicit, certificate: gate.crt, key: gate.key }, keys: { modoboa: { hash: "${hashKey(key)}", policy: support } } }
  jobs: { tcp: "127.0.0.1:${jobs}", tls: { certificate: gate.crt, key: gate.key }, accounts: { migrator: { password_hash: "${hash}", policy: support } } }`,
    files: filesOf(authority),
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const ca = authority.certificatePem;
  const postThat = (keepsAlive: boolean): Buffer =>
    encodePost({
      body: JSON.stringify([['quotaGet', { user: 'alice@example.org' }, 't']]),
      authorization: authorizationOf.key(key),
      keepsAlive,
    });
  const post = postThat(false);
  const ask = async (): Promise<boolean> => {
    const answer = await askRaw({ port: panel, tls: { ca, serverName: 'localhost' } }, post);
    return answer.status === 200;
  };
  const logIn = async (): Promise<boolean> => {
    const client = await openRawClient({
      port: jobs,
      minor: 2,
      tls: 'starttls',
      ca,
      auth: { user: 'migrator', password },
    });
    try {
      return await isServed(client);
    } finally {
      client.close();
    }
  };
  return { ...gateway, panel, jobs, ca, keptPost: postThat(true), ask, logIn };
}

/** How many of so many, five at a time, were answered, and how many tries failed before. */
async function answered(many: number, one: () => Promise<boolean>) {
  let [right, again] = [0, 0];
  let left = many;
  const next = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      let tries = 1;
      while (!(await one().catch(() => false)) && tries < triesMax) tries += 1;
      again += tries - 1;
      if (tries < triesMax) right += 1;
    }
  };
  await Promise.all(Array.from({ length: 5 }, next));
  return { right, again };
}

/** Repeats a request every second until `end` is called. */
function askWhile(ask: () => Promise<number>) {
  const over = new AbortController();
  const asked = async (): Promise<readonly number[]> => {
    const statuses: number[] = [];
    do {
      // oxlint-disable-next-line no-await-in-loop -- one connection, one request at a time
      statuses.push(await ask());
      // oxlint-disable-next-line no-await-in-loop
      if (!over.signal.aborted) await setTimeout(1_000);
    } while (!over.signal.aborted);
    return statuses;
  };
  const ended = asked();
  // The caller awaits `ended`, and gets the error there.
  ended.catch(() => undefined);
  return { ended, end: (): void => over.abort() };
}

test('right keys and right logins get through beside those who prove nothing', {
  timeout: 300_000,
}, async (t) => {
  const gate = await openBoth(t);
  const more = countDescriptors(t, gate.daemon.pid);
  const kept = await openRawHttp({ port: gate.panel, tls: { ca: gate.ca, serverName: 'localhost' } });
  t.after(() => kept.close());
  const askKept = async (): Promise<number> => {
    await kept.write(gate.keptPost);
    return (await kept.readAnswer()).status;
  };
  assert.equal(await askKept(), 200);
  const hello = Buffer.from('16030100c8010000c40303', 'hex').toString('latin1');
  const crowds: readonly (readonly [string, Omit<Crowd, 'port' | 'connections'>])[] = [
    ['silent', {}],
    ['silent, and back at once', { returns: true }],
    ['half a line, and back at once', { says: 'VERS', returns: true }],
    ['half of a TLS handshake, and back at once', { says: hello, returns: true }],
  ];
  const missed: string[] = [];
  for (const [what, crowd] of crowds) {
    for (const [port, many, one] of [
      [gate.panel, keysAsked, gate.ask],
      [gate.jobs, loginsAsked, gate.logIn],
    ] as const) {
      const running = await gather(t, { ...crowd, port, connections: strangers });
      // The gate closes an idle session, and this can take longer than the idle limit on a slow machine.
      const asking = askWhile(askKept);
      const { right, again } = await answered(many, one).finally(asking.end);
      assert.deepEqual([...new Set(await asking.ended)], [200], 'a proven session stays');
      const held = more();
      const made = await running.end();
      const name = port === gate.panel ? 'keys' : 'logins';
      t.diagnostic(
        `${what}: ${right} of ${many} ${name}, ${again} tries failed; ${made} connections, ${held} descriptors`,
      );
      if (right < many) missed.push(`${what}: ${right} of ${many} ${name}`);
      assert.ok(held <= 2 * sessionsPerPeer + 50, `${held} descriptors more`);
    }
  }
  assert.deepEqual(missed, []);
  await until(() => more() <= 30, 'descriptors as before');
});
