// Goal: the files that docs/audit-fleet.md names work together on a real server, as they are but for paths and ports: the administrator makes
// the stream, two daemons send, the verifier finds everything there. What must not happen: a right that is missing, and one too many.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { NatsFault, openNats } from '../../src/adapters/nats/link.js';
import { startDaemon } from '../kit/daemon.js';
import { natsReleases, openNatsServer } from '../kit/nats.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';

const example = (name: string): string =>
  readFileSync(new URL(`../../../examples/${name}`, import.meta.url), 'utf8');

/** Each text is there to be replaced. */
function replace(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    assert.ok(before.includes(from), `the example has "${from}"`);
    return before.replaceAll(from, to);
  }, text);
}

const gates = ['mail-gate-1', 'mail-gate-2'];

for (const release of natsReleases)
  test(`the examples, from an empty server to a whole trail (${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const nats = await openNatsServer(t, {
      gates,
      others: { 'nats-admin': {} },
      domain: 'example.com',
      release,
      configuration: (folder, port) =>
        replace(example('nats-server.conf'), [
          ['0.0.0.0:4222', `127.0.0.1:${port}`],
          ['/var/lib/nats', join(folder, 'store')],
          ['500GB', '8GB'],
          ['/etc/nats/', `${folder}/`],
        ]),
    });
    if ('skip' in nats) return t.skip(nats.skip);
    const { folder, port } = nats;
    for (const name of [...gates, 'verifier', 'nats-admin']) chmodSync(join(folder, `${name}.key`), 0o600);
    mkdirSync(join(folder, 'keys'));
    const fleet = replace(example('fleet.yaml'), [
      ['nats1.example.com:4222', `127.0.0.1:${port}`],
      ['/etc/dovegate/nats-ca.pem', 'ca.pem'],
      ['/etc/dovegate/', ''],
      ['/var/lib/dovegate-fleet', 'state'],
      ['127.0.0.1:9148', 'off'],
      ['400GiB', '1GiB'],
    ]);
    writeFileSync(join(folder, 'fleet.yaml'), fleet, { mode: 0o600 });
    const asAdmin = replace(fleet, [['verifier.', 'nats-admin.']]);
    writeFileSync(join(folder, 'admin.yaml'), asAdmin, { mode: 0o600 });

    const daemons = await Promise.all(
      gates.map((host) =>
        startDaemon(t, {
          config: `version: 1
listeners: { support: { unix: support.sock, mode: "0600", policy: support } }
backends: { mail1: { address: "unix:nobody.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { support: { users: ["*"], allow: [quota get] } }
state: state
audit:
  directory: audit
  memory: off
  reserve: 4KiB
  checkpoint_interval: 1s
  ship:
    - nats: tls://127.0.0.1:${port}
      ca: ${folder}/ca.pem
      certificate: ${folder}/${host}.pem
      key: ${folder}/${host}.key
      host: ${host}
      settle: 1s
`,
        }),
      ),
    );
    for (const [at, daemon] of daemons.entries())
      writeFileSync(join(folder, 'keys', `${gates[at]}.pub`), readFileSync(daemon.path('audit/key.pub')));
    const run = (...args: readonly string[]) => runWarm(['audit', 'fleet', ...args], { cwd: folder });

    // The verifier may not make the stream, and is told so.
    const refused = await run('init', '--config', 'fleet.yaml');
    assert.notEqual(refused.exit, 0, refused.text);
    const made = await run('init', '--config', 'admin.yaml');
    assert.equal(made.exit, 0, made.text);
    // The rights that it prints are those of the example.
    const words = (text: string): string =>
      text
        .replaceAll(/#.*$/gm, '')
        .replaceAll(/[\s,]+/g, ' ')
        .replaceAll('} ]', '}]');
    const printed = words(made.text.slice(made.text.indexOf('accounts {'))).trim();
    const admin = /\{ user: "nats-admin" \}/;
    const shown = words(example('nats-server.conf').replaceAll('.example.com', '')).replace(admin, '');
    assert.ok(words(shown).includes(printed), printed);

    // Checkpoints come by themselves, each minute by default; here each second.
    let last = '';
    await until(
      async () => {
        const { exit, text } = await run('verify', '--config', 'fleet.yaml');
        last = text;
        return exit === 0;
      },
      'both gates are complete',
      300_000,
    ).catch((fault: unknown) => {
      throw new Error(`${last}\n${nats.output()}`, { cause: fault });
    });
    const status = await run('status', '--config', 'fleet.yaml', '--json');
    const {
      gates: rows,
    }: { readonly gates: readonly { readonly host: string; readonly signedSeq?: number }[] } = JSON.parse(
      status.stdout.toString(),
    );
    assert.deepEqual(
      rows.map(({ host }) => host),
      gates,
    );
    for (const { signedSeq = 0 } of rows) assert.ok(signedSeq > 0, status.text);

    // One gate reads and writes nothing of another one.
    const link = await openNats({ ...nats.settingsOf('mail-gate-1'), inbox: '_INBOX.mail-gate-1' });
    t.after(() => link.close());
    const other = `dovegate.audit.mail-gate-2.${'a'.repeat(32)}`;
    const hasNoRight = (fault: unknown): boolean => fault instanceof NatsFault && fault.code === 'no-rights';
    await assert.rejects(link.publish(other, [], Buffer.from('x'), 0), hasNoRight);
    await assert.rejects(link.lastOf('DOVEGATE_AUDIT', other), hasNoRight);
    await assert.rejects(link.info('DOVEGATE_AUDIT'), hasNoRight);
  });
