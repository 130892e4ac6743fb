// Goal: the set-up of docs/audit-fleet.md as it stands there, pasted line by line, from nothing to a trail of three gates that is whole: at
// most twelve commands, and no file edited by hand. What must not happen: a right that is missing, one too many, or a secret that is
// printed.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { startDaemon } from '../../kit/gate/daemon.js';
import { installNats, natsReleases } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { projectRoot } from '../../kit/plain/root.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';
import { openMachines } from './machines.js';
import type { Asked } from './rights.child.js';

const child = fileURLToPath(new URL('./rights.child.js', import.meta.url));
const commandsMax = 12;
const gates = ['mail-gate-1', 'mail-gate-2', 'mail-gate-3'] as const;
const [verifier, server] = ['audit1.example.com', 'nats1.example.com'] as const;

const example = (name: string): string => readFileSync(new URL(`examples/${name}`, projectRoot), 'utf8');

/** The lines of the page; a line that goes on has a backslash at its end. */
function setup(): readonly string[] {
  const fence = fencesOf(readPage('docs/audit-fleet.md')).find(({ info }) => info === 'setup');
  assert.ok(fence !== undefined, 'the page has its set-up');
  return fence.text.trimEnd().replaceAll('\\\n', ' ').split('\n');
}

/** Each program that a shell starts counts, in a pipe and after `&&` too. */
const countOf = (lines: readonly string[]): number =>
  lines.flatMap((line) => line.split(/&&|\|\|?|;/)).length;

const gate = `version: 1
listeners: { support: { unix: /run/support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "unix:/run/nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: /var/lib/dovegate
audit:
  directory: /var/lib/dovegate/audit
  memory: off
  reserve: 4KiB
  door: /run/ship.sock
admin: { unix: /run/admin.sock }
`;

for (const release of natsReleases)
  test(`the set-up of the documentation, command by command (${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const installed = await installNats(release);
    if ('skip' in installed) return t.skip(installed.skip);
    const words = [installed.program, ...installed.words];
    const machines = await openMachines(t, [verifier, server, ...gates], words);
    if ('skip' in machines) return t.skip(machines.skip);
    // Root runs these gates, and so their state is root's.
    for (const name of gates) mkdirSync(machines.of(name).path('/var/lib/dovegate'), { recursive: true });
    await Promise.all(
      gates.map((name) =>
        startDaemon(t, {
          config: gate,
          folder: machines.of(name).path('/etc/dovegate'),
          args: ['--config', '/etc/dovegate/dovegate.yaml'],
          launcher: machines.of(name).launcher,
        }),
      ),
    );
    // As the path unit does once there is a receiver.
    const ships = await Promise.all(
      gates.map((name) =>
        startDaemon(t, {
          command: 'ship',
          folder: machines.of(name).path('/etc/dovegate'),
          args: ['--door', '/run/ship.sock', '--state', '/var/lib/dovegate-ship'],
          launcher: machines.of(name).launcher,
        }),
      ),
    );
    const there = machines.of(verifier);
    const lines = setup();
    assert.ok(countOf(lines) <= commandsMax, `${countOf(lines)} commands`);
    let said = '';
    let first = '';
    for (const line of lines) {
      const { exit, text } = await there.run(line);
      said = text;
      if (first === '') first = text;
      const log: string = exit === 0 ? '' : (await machines.of(server).run('cat /run/nats.log')).text;
      assert.equal(exit, 0, `${line}\n${text}\n${log}\n${ships.map((each) => each.output()).join('\n')}`);
      assert.doesNotMatch(text, /PRIVATE KEY|NKEY SEED|S[AOU][A-Z2-7]{40}/);
    }
    assert.match(said, /^passed: /);
    assert.match(said, /3 hosts/);
    for (const name of gates) assert.match(said, new RegExp(`^${name} `, 'm'));

    // What `prepare` says comes next is what the page says.
    const next = [...first.matchAll(/^(?:next|then): (.*)$/gm)].map(([, line]) => line);
    assert.deepEqual(next, lines.slice(1));

    const looked = await machines.of('mail-gate-1').run('dovegate doctor --json');
    const { looks }: { readonly looks: readonly { readonly status: string; readonly look: string }[] } =
      JSON.parse(looked.stdout.toString());
    assert.deepEqual(
      looks.filter(({ look }) => look.startsWith('stream')).map(({ status, look }) => `${status} ${look}`),
      ['ok stream certificate', `ok stream server ${server}:4222`, 'ok stream', 'ok stream room'],
      looked.text,
    );

    // Nobody has a right that it does not need.
    const asks = async (name: string, user: string, folder: string, asked: readonly Asked[]) => {
      const settings = {
        servers: [{ host: server, port: 4222 }],
        caFile: `${folder}/ca.pem`,
        credentialsFile: `${folder}/${user}.creds`,
        name: 'test',
        inbox: `_INBOX.${name}`,
      };
      const machine = machines.of(user === 'gate' ? name : verifier);
      const done = await machine.run(`${process.execPath} ${child}`, JSON.stringify({ settings, asked }));
      assert.equal(done.exit, 0, done.text);
      const answers: readonly string[] = JSON.parse(done.stdout.toString());
      return answers;
    };
    const stream = 'DOVEGATE_AUDIT_mail-gate-2';
    const other = `dovegate.audit.mail-gate-2.${'a'.repeat(32)}`;
    const ofGate = await asks('mail-gate-1', 'gate', '/etc/dovegate/ship', [
      ['publish', stream, other],
      ['last', stream, other],
      ['info', stream, ''],
      ['create', 'OTHER', ''],
    ]);
    assert.deepEqual(ofGate, ['no-rights', 'no-rights', 'no-rights', 'no-rights']);
    const ofVerifier = await asks('verifier', 'verifier', '/etc/dovegate/fleet', [
      ['publish', stream, other],
      ['last', stream, other],
      ['info', stream, ''],
      ['create', 'OTHER', ''],
    ]);
    assert.deepEqual(ofVerifier, ['no-rights', 'done', 'done', 'no-rights']);

    // Only root, the verifier and the daemon can read a private key.
    const modes: readonly (readonly [string, number])[] = [
      [there.path('/etc/dovegate/fleet/verifier.creds'), 60_002],
      [there.path('/etc/dovegate/fleet/admin/ca.key'), 0],
      [there.path('/etc/dovegate/fleet/admin/trust.json'), 0],
      [there.path('/etc/dovegate/fleet/admin/accounts/mail-gate-1.jwt'), 0],
      [there.path('/etc/dovegate/fleet/admin/mail-gate-1.join'), 0],
      [there.path('/etc/dovegate/fleet/admin/server.sh'), 0],
      [machines.of('mail-gate-1').path('/etc/dovegate/ship/gate.creds'), 0],
    ];
    for (const [path, uid] of modes) {
      const found = statSync(path);
      assert.deepEqual([found.mode & 0o777, found.uid], [0o600, uid], path);
    }

    // Another operator: the streams stay, and nothing that the first one signed counts.
    const old = readFileSync(machines.of('mail-gate-1').path('/etc/dovegate/ship/gate.creds'), 'utf8');
    const renewed = await there.run('dovegate audit fleet issue operator');
    assert.equal(renewed.exit, 0, renewed.text);
    assert.doesNotMatch(renewed.text, /PRIVATE KEY|NKEY SEED|S[AOU][A-Z2-7]{40}/);
    const steps = [...renewed.text.matchAll(/^(?:next|then): (.*)$/gm)].map(([, line = '']) => line);
    assert.equal(steps.length, 5, renewed.text);
    for (const line of [...steps, lines.at(-1) ?? '']) {
      const { exit, text } = await there.run(line);
      said = text;
      assert.equal(exit, 0, `${line}\n${text}`);
      if (line.endsWith('fleet init')) assert.match(text, /^the stream DOVEGATE_AUDIT is there already/m);
    }
    assert.match(said, /^passed: /);
    writeFileSync(there.path('/etc/dovegate/fleet/old.creds'), old, { mode: 0o600 });
    await assert.rejects(asks('mail-gate-1', 'old', '/etc/dovegate/fleet', []), /does not know us/);
  });

test('the example of a server is what init prints for the example of a fleet', async () => {
  const folder = new URL('examples/', projectRoot).pathname;
  const printed = await runWarm([
    'audit',
    'fleet',
    'init',
    '--print',
    '--config',
    join(folder, 'fleet.yaml'),
  ]);
  assert.equal(printed.exit, 0, printed.text);
  assert.equal(printed.stdout.toString(), example('nats-server.conf'));
});

test('a thousand gates: the configuration of the server is the same, and printed soon', async (t) => {
  const folder = openFolder(t);
  const config = join(folder, 'fleet.yaml');
  const print = async (count: number) => {
    const hosts = Array.from(
      { length: count },
      (_, at) => `  "mail-gate-${at}": { key: "keys/${at}.pub", silent_after: 5m }\n`,
    );
    const start = 'nats: tls://nats1.example.com:4222\nca: ca.pem\ncredentials: verifier.creds\n';
    writeFileSync(config, `${start}hosts:\n${hosts.join('')}`);
    const beganMs = performance.now();
    const printed = await runWarm(['audit', 'fleet', 'init', '--print', '--config', config]);
    assert.equal(printed.exit, 0, printed.text);
    const text = printed.stdout.toString();
    const ms = performance.now() - beganMs;
    return { ms, configuration: text.slice(0, text.indexOf('# The streams')), text };
  };
  const one = await print(1);
  const many = await print(1000);
  assert.equal(many.configuration, one.configuration);
  assert.ok(one.configuration.includes(`max_file: ${bounds.fleetServerBytes / 2 ** 20}MB`));
  assert.match(many.text, /^# nats stream add DOVEGATE_AUDIT_mail-gate-999 /m);
  t.diagnostic(`${Math.round(many.ms)} ms for 1,000 gates, ${Math.round(one.ms)} ms for one`);
  assert.ok(many.ms < 5000, `${many.ms} ms`);
});
