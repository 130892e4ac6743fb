// Goal: doctor looks at a gate's way to the stream, step by step, on a real server, and names the next command for each thing that is
// wrong. What must not happen: a message that is stored, a wait without an end, a wrong right that is called ok.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { startDaemon, startShip } from '../../kit/gate/daemon.js';
import { type Nats, openNatsServer } from '../../kit/gate/nats.js';
import { makeTestTrust } from '../../kit/gate/nats-trust.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { until } from '../../kit/plain/until.js';
import { openDesk, skipOf } from './fleet-lab.js';

interface Shown {
  readonly status: string;
  readonly look: string;
  readonly text: string;
  readonly next?: string;
}

function configurationFor({ folder, port }: Nats, changes: Readonly<Record<string, string>> = {}): string {
  const sink = {
    nats: `tls://127.0.0.1:${port}`,
    ca: join(folder, 'ca.pem'),
    ...(!('certificate' in changes) && { credentials: join(folder, 'gate1.creds') }),
    host: 'gate1',
    ...changes,
  };
  return `version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "unix:nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
admin: { unix: admin.sock }
audit: { door: ship.sock, directory: audit, memory: off, reserve: 4KiB, ship: [${JSON.stringify(sink)}] }
`;
}

/** The looks at streams. */
async function looksOf(config: string): Promise<readonly Shown[]> {
  const { stdout, text } = await runWarm(['doctor', '--json', '--config', config]);
  const { looks }: { readonly looks?: readonly Shown[] } = JSON.parse(stdout.toString());
  assert.ok(looks !== undefined, text);
  return looks.filter(({ look }) => look.startsWith('stream'));
}

test('the way of a gate to its stream', { timeout: 600_000 }, async (t) => {
  const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'] });
  if (skipOf(t, nats)) return;
  const { folder, port, authority } = nats;
  const secret = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const pairOf = (name: string, notAfter?: Date) => {
    const pair = authority.issue({ names: [name], client: true, ...(notAfter && { notAfter }) });
    return {
      certificate: secret(`${name}-own.pem`, pair.certificatePem),
      key: secret(`${name}-own.key`, pair.keyPem),
    };
  };
  const [closed = 0] = await freePorts(1);
  const looksWith = (changes: Readonly<Record<string, string>> = {}) =>
    looksOf(secret('gate.yaml', configurationFor(nats, changes)));
  const statusOf = (looks: readonly Shown[]): string[] =>
    looks.map(({ status, look }) => `${status} ${look}`);
  const firstBad = (looks: readonly Shown[]): Shown => {
    const found = looks.find(({ status }) => status === 'bad');
    assert.ok(found !== undefined, JSON.stringify(looks));
    return found;
  };

  const before = firstBad(await looksWith());
  assert.match(before.text, /^it cannot be asked for the last record: .*no stream "DOVEGATE_AUDIT_gate1"/);
  assert.equal(before.next, 'dovegate audit fleet init');

  const admin = openDesk(nats, { gate1: {}, gate2: {} }, 'admin');
  assert.equal((await admin.run('init')).exit, 0);
  const place = `stream server 127.0.0.1:${port}`;
  const well = await looksWith();
  assert.deepEqual(
    statusOf(well),
    ['ok stream certificate', `ok ${place}`, 'ok stream'],
    JSON.stringify(well),
  );
  assert.match(well[2]?.text ?? '', /this gate may publish to dovegate\.audit\.gate1\.\*/);

  const day = 86_400_000;
  const rows: readonly (readonly [string, Readonly<Record<string, string>>, string, RegExp, string])[] = [
    [
      'another host',
      { host: 'gate2' },
      'stream',
      /Permissions Violation/,
      'dovegate audit fleet issue gate2',
    ],
    [
      'a name that is not there',
      { nats: 'tls://nosuch.invalid:4222' },
      'stream server nosuch.invalid:4222',
      /the name cannot be resolved/,
      'getent hosts nosuch.invalid',
    ],
    [
      'nobody listens',
      { nats: `tls://127.0.0.1:${closed}` },
      `stream server 127.0.0.1:${closed}`,
      /nobody listens there/,
      'ssh root@127.0.0.1 systemctl status nats-server',
    ],
    [
      'another authority',
      { ca: secret('other.pem', makeAuthority({ name: 'other' }).certificatePem) },
      place,
      /authority that is not in `ca`/,
      'dovegate audit fleet issue server',
    ],
    [
      'an administrator',
      { credentials: join(folder, 'admin.creds') },
      'stream rights',
      /may do more than send its own records \(update, purge, delete\)/,
      'dovegate audit fleet issue gate1',
    ],
    [
      'an unknown user',
      {
        credentials: secret(
          'foreign.creds',
          makeTestTrust(new Map([['gate1', []]])).credentials.get('gate1') ?? '',
        ),
      },
      place,
      /does not know us/,
      'dovegate audit fleet issue gate1',
    ],
    [
      'a certificate that has expired',
      pairOf('gate1.fleet.test', new Date(Date.now() - day)),
      'stream certificate',
      /the certificate has expired/,
      'dovegate audit fleet issue gate1',
    ],
  ];
  for (const [what, changes, look, text, next] of rows) {
    const found = firstBad(await looksWith(changes));
    assert.equal(found.look, look, `${what}: ${JSON.stringify(found)}`);
    assert.match(found.text, text, what);
    assert.equal(found.next, next, what);
  }
  const soon = await looksWith(pairOf('gate1.fleet.test', new Date(Date.now() + 5 * day)));
  assert.equal(statusOf(soon)[0], 'warning stream certificate');
  assert.match(soon[0]?.text ?? '', /expires in [45] days/);
  const info = await nats.api('STREAM.INFO.DOVEGATE_AUDIT_gate1');
  assert.equal(Object(info['state']).messages, 0, 'nothing was stored');

  // The gate's stream is full: the daemon was refused.
  const { config } = info;
  const small = { ...Object(config), max_bytes: 64 };
  assert.equal((await nats.api('STREAM.UPDATE.DOVEGATE_AUDIT_gate1', small))['error'], undefined);
  const daemon = await startDaemon(t, { config: configurationFor(nats) });
  const ship = await startShip(t, daemon);
  await ship.waitForLog(({ event, type }) => event === 'ship-away' && type === 'stream-full', 'it is full');
  let full: readonly Shown[] = [];
  await until(async () => {
    full = await looksOf(daemon.configFile);
    return statusOf(full).includes('bad stream room');
  }, 'doctor says so');
  assert.match(
    firstBad(full).text,
    /DOVEGATE_AUDIT_gate1 is full; \d+ records wait in the journal of this gate/,
  );
});
