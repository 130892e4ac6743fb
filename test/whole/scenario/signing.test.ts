// Goal: a journal is signed without anybody's doing, and an auditor on the host needs no key for it. Phases: a first start, which makes
// the key; an idle daemon; a key that is gone; a person who accepts the new one; a `state` that cannot be used. What must not happen: a key
// that others may read, a new key that passes before somebody accepted it, a log that an idle daemon fills.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Daemon, DaemonStartError, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { isRoot, skipped } from '../../kit/plain/skipped.js';
import { readAudit } from '../../kit/plain/traces.js';

const audit =
  '{ directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, checkpoint_interval: 50ms }';
const quota = { user: 'alice@example.org', fields: ['quota get'] };

const verify = (daemon: Daemon, ...args: string[]) =>
  runWarm(['audit', 'verify', '--config', daemon.configFile, ...args]);

/** To another user than root, whom the daemon of this test runs as. */
const notItself =
  /the daemon runs as this user \(uid \d+\) and must not accept keys itself; run this as root/;

async function checkpoints(daemon: Daemon, more: number): Promise<void> {
  // Read as it stands: it never is quiet, and whoever waits for that does not read the daemon's log meanwhile.
  const count = () =>
    readAudit(daemon.path('audit')).filter(({ record }) => record['event'] === 'checkpoint').length;
  const wanted = count() + more;
  const endMs = Date.now() + 60_000;
  while (count() < wanted) {
    assert.ok(Date.now() < endMs, 'no checkpoints come');
    // A file has no event to wait for.
    await pause(20);
  }
}

test('an idle daemon writes no checkpoint to its log, and after the next command one', async (t) => {
  const { daemon, client } = await openGateway(t, { audit });
  const logged = () => daemon.logs.filter(({ event }) => event === 'audit-checkpoint');
  await checkpoints(daemon, 6);
  assert.equal(logged().length, 1, 'that of the start');
  const one = await client();
  assert.equal((await one.ask(quota)).status, '+');
  one.close();
  await checkpoints(daemon, 6);
  const before = logged().length;
  assert.ok(before >= 2, 'what was recorded is in a checkpoint of the log');
  await checkpoints(daemon, 6);
  assert.equal(logged().length, before);
  await daemon.stop();
  const last = logged().at(-1)?.['text'];
  writeFileSync(daemon.path('last.json'), `${String(last)}\n`);
  const verified = await verify(daemon, '--checkpoint', daemon.path('last.json'));
  assert.equal(verified.exit, 0, verified.text);
});

test('the first start makes a key, and verify checks by it', async (t) => {
  const { daemon, client } = await openGateway(t, { audit });
  const one = await client();
  await one.ask(quota);
  await daemon.stop();
  const config = readFileSync(daemon.configFile, 'utf8');
  const secret = daemon.path('state/audit-sign.key');
  assert.equal(statSync(secret).mode & 0o7777, 0o600);
  const shown = readFileSync(daemon.path('audit/key.pub'), 'utf8');
  assert.match(shown, /^-----BEGIN PUBLIC KEY-----\n/);
  assert.equal(statSync(daemon.path('audit/key.pub')).mode & 0o7777, 0o600);
  const records = auditRecords(daemon);
  const start = records.find(({ event }) => event === 'start');
  assert.ok(typeof start?.['key'] === 'string' && start['key'].length === 44);
  assert.ok(records.every(({ event, key }) => event !== 'checkpoint' || key === start['key']));
  const made = daemon.logs.find(({ event }) => event === 'audit-key-made');
  assert.ok(String(made?.['text']).includes(start['key']));
  assert.deepEqual(daemon.grepSecrets([readFileSync(secret, 'utf8').split('\n')[1] ?? '']), [
    'state/audit-sign.key: ' + (readFileSync(secret, 'utf8').split('\n')[1] ?? ''),
  ]);
  const verified = await verify(daemon);
  assert.equal(verified.exit, 0, verified.text);
  assert.match(verified.text, /signed up to seq \d+ by this host's own key/);
  const foreign = await runWarm(['audit', 'verify', daemon.path('audit')]);
  assert.equal(foreign.exit, 1, 'without a configuration nobody says which key counts');

  await t.test('a state that cannot be used is told where it is set', async (own) => {
    const failed = await startDaemon(own, {
      folder: daemon.folder,
      config: config.replace('state: state', 'state: ca.pem/state'),
    }).catch((fault: unknown) => fault);
    writeFileSync(daemon.configFile, config);
    assert.ok(failed instanceof DaemonStartError);
    assert.equal(failed.exit?.code, 78);
    assert.match(
      failed.output,
      /state: the key that signs the journal cannot be read or made: .*ca\.pem\/state.*or set audit\.sign_key/,
    );
  });

  await t.test('without key.pub the private key still says whose journal it is', async () => {
    rmSync(daemon.path('audit/key.pub'));
    const again = await verify(daemon);
    assert.equal(again.exit, 0, again.text);
    assert.match(again.text, /by this host's own key/);
    // The same where the configuration has an error elsewhere.
    writeFileSync(daemon.configFile, `${config}\nnew_section: {}\n`);
    assert.match((await verify(daemon)).text, /by this host's own key/);
    writeFileSync(daemon.configFile, config);
    writeFileSync(daemon.path('audit/key.pub'), shown);
  });

  assert.equal((await verify(daemon)).exit, 0);
  const file = join(daemon.path('audit'), '00000001.jsonl');
  writeFileSync(file, readFileSync(file, 'utf8').replace('alice@example.org', 'carol@example.org'));
  assert.equal((await verify(daemon)).exit, 1);
});

test('a key that is gone is reported, and a new one fails verify until a person accepts it', async (t) => {
  const { daemon } = await openGateway(t, { audit });
  await daemon.stop();
  const check = () => runWarm(['check', '--config', daemon.configFile]);
  assert.doesNotMatch((await check()).text, /signed/);
  renameSync(daemon.path('audit/key.pub'), daemon.path('old.pub'));
  writeFileSync(daemon.path('audit/key.pub'), readFileSync(daemon.path('old.pub')));
  rmSync(daemon.path('state/audit-sign.key'));
  const checked = await check();
  assert.equal(checked.exit, 0);
  assert.match(checked.text, /audit\.sign_key: .*audit-sign\.key is gone.*--accept-key/s);

  const second = await startDaemon(t, { folder: daemon.folder });
  const told = second.logs.find(({ event }) => event === 'audit-key-changed');
  assert.equal(told?.['level'], 'error');
  await second.stop();
  const changes = auditRecords(second).filter(({ action }) => action === 'key-change');
  assert.equal(changes.length, 1);
  // Told once: the next start finds its own key.
  const third = await startDaemon(t, { folder: daemon.folder });
  await third.stop();
  assert.ok(!third.logs.some(({ event }) => event === 'audit-key-changed'));
  assert.equal(auditRecords(third).filter(({ action }) => action === 'key-change').length, 1);

  const failed = await verify(daemon);
  assert.equal(failed.exit, 1, failed.text);
  assert.match(
    failed.text,
    /key-change: key \S{44} signs from here on, and \S{44} before, which did not name it/,
  );
  assert.match(failed.text, /--accept-key/);
  assert.equal((await verify(daemon, '--key', daemon.path('old.pub'))).exit, 1);
  assert.equal((await verify(daemon, '--key', daemon.path('audit/key.pub'))).exit, 0, 'whom a person trusts');
  const accepted = await verify(daemon, '--accept-key');
  if (!isRoot) {
    assert.match(accepted.text, notItself);
    assert.equal(accepted.exit, 77);
    return t.diagnostic(`left out: ${skipped('only root accepts a key').skip}`);
  }
  assert.equal(accepted.exit, 0, accepted.text);
  const again = await verify(daemon);
  assert.equal(again.exit, 0, again.text);
  assert.match(again.text, /by this host's own key, accepted in .*accepted-audit-keys/);
  // The next one is not accepted by that.
  rmSync(daemon.path('state/audit-sign.key'));
  await (await startDaemon(t, { folder: daemon.folder })).stop();
  const other = await verify(daemon);
  assert.equal(other.exit, 1, other.text);
  assert.match(other.text, /key-change/);
});

test('a journal put in the place of this one fails verify, also with a key.pub that fits it', async (t) => {
  const { daemon } = await openGateway(t, { audit });
  await daemon.stop();
  const { daemon: other } = await openGateway(t, { audit });
  await other.stop();
  const ownPublic = readFileSync(daemon.path('audit/key.pub'));
  rmSync(daemon.path('audit'), { recursive: true });
  cpSync(other.path('audit'), daemon.path('audit'), { recursive: true });
  const replaced = await verify(daemon);
  assert.equal(replaced.exit, 1, replaced.text);
  assert.match(replaced.text, /key\.pub: key-change: .*audit-sign\.key holds key \S{44}, and this is \S{44}/);
  const accepted = await verify(daemon, '--accept-key');
  assert.equal(accepted.exit, isRoot ? 1 : 77, 'what no key of this host signed is not accepted');
  if (!isRoot) assert.match(accepted.text, notItself);
  assert.ok(!existsSync(daemon.path('accepted-audit-keys')));

  writeFileSync(daemon.path('audit/key.pub'), ownPublic);
  const betrayed = await verify(daemon);
  assert.equal(betrayed.exit, 1, betrayed.text);
  assert.match(
    betrayed.text,
    /key-change: .*audit-sign\.key holds key \S{44}, and \S{44} signed this journal/,
  );

  // Without the private key and the rest of `state` there is only what lies beside the journal, and verify says so.
  renameSync(daemon.path('state/audit-sign.key'), daemon.path('elsewhere.key'));
  assert.equal((await verify(daemon)).exit, 1);
  cpSync(other.path('audit/key.pub'), daemon.path('audit/key.pub'));
  // The last checkpoint lies in `state`, too, and is one of the journal that was here.
  const copied = await verify(daemon);
  assert.equal(copied.exit, 1, copied.text);
  assert.match(copied.text, /audit-end\.json/);
  rmSync(daemon.path('state/audit-end.json'));
  const blind = await verify(daemon);
  assert.equal(blind.exit, 0, blind.text);
  assert.match(blind.text, /signed up to seq \d+ by key\.pub, which lies beside the journal/);
  assert.doesNotMatch(blind.text, /own key/);
  assert.equal(JSON.parse((await verify(daemon, '--json')).text).by_own_key, false);
});
