// Goal: a restart with a file that has problems serves what was served before, and says so everywhere. Phases: a good file with an include;
// restarted with a bad one; repaired; a policy that was narrowed by mistake of spelling; copies that are not what was served last: of a
// backup, cut, of another file, and one that names a file that is gone. What must not happen: a gate that turns everybody away because
// of a typing error, an old policy that comes back unseen, a copy that another policy can be slipped into.
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { loadLast } from '../../../src/gate/daemon/last.js';
import { loadConfiguration } from '../../../src/rules/setup/configuration.js';
import { type Daemon, type DaemonOptions, DaemonStartError, startDaemon } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openRawClient } from '../../kit/plain/raw-client.js';

const copyName = 'state/served-configuration.json';
const more = `include: ["team-*.yaml"]
admin: { unix: admin.sock, mode: "0600" }`;
const team = (allow: string): string => `policies:
  billing: { users: ["*@example.org"], allow: [${allow}] }
`;

async function openServed(t: TestContext) {
  const { daemon } = await openGateway(t, {
    more,
    listeners: `
  support: { unix: support.sock, mode: "0600", policy: support }
  billing: { unix: billing.sock, mode: "0600", policy: billing }`,
    files: { 'team-b.yaml': team('quota get, mailbox list') },
  });
  const { folder, configFile } = daemon;
  const good = readFileSync(configFile, 'utf8');
  const lines = good.split('\n');
  const line = lines.findIndex((text) => text.includes('policy: billing')) + 1;
  const place = `${configFile}:${line}`;
  const broken = good.replace('policy: billing', 'policy: biling');
  const start = (config: string, options: Partial<DaemonOptions> = {}): Promise<Daemon> =>
    startDaemon(t, { folder, config, ...options });
  const ask = async (...fields: string[]): Promise<string> => {
    const client = await openRawClient({ path: daemon.path('billing.sock'), minor: 2 });
    const { status } = await client.ask({ user: 'alice@example.org', fields });
    client.close();
    return status;
  };
  /** What a start with the bad file says, which serves nobody. */
  const refused = async (args: readonly string[] = []): Promise<string> => {
    try {
      await start(broken, { args });
    } catch (fault) {
      assert.ok(fault instanceof DaemonStartError);
      assert.deepEqual(fault.exit, { code: 78, signal: null });
      assert.ok(fault.output.includes(`${place}:`), fault.output);
      assert.equal(existsSync(daemon.path('billing.sock')), false);
      return fault.output;
    }
    return assert.fail('it serves');
  };
  const admin = (path: string) => askHttp({ socketPath: daemon.path('admin.sock') }, path);
  const startRecord = (of: Daemon) =>
    of.audit().findLast(({ record }) => record['event'] === 'start')?.record;
  return {
    daemon,
    good,
    broken,
    place,
    start,
    ask,
    refused,
    admin,
    startRecord,
  };
}

type Served = Awaited<ReturnType<typeof openServed>>;

/** One gate: each phase begins with what the one before it left. */
test('a restart with a file that has problems', async (t) => {
  const served = await openServed(t);
  await t.test('it serves what was served before, and the mended file at a reload', () => serveLast(served));
  await t.test('a copy that is not what the journal names last is refused, with the reason', () =>
    refuseCopies(served),
  );
  await t.test('nothing from before: it ends with the place', async () => {
    assert.doesNotMatch(await served.refused(), /is not served/);
  });
});

async function serveLast({
  daemon,
  good,
  broken,
  place,
  start,
  ask,
  refused,
  admin,
  startRecord,
}: Served): Promise<void> {
  assert.equal(statSync(daemon.path(copyName)).mode & 0o777, 0o600);
  assert.deepEqual(daemon.grepSecrets(['correct-horse-battery']), []);
  const hash = startRecord(daemon)?.['version'];
  assert.match(String(hash), /^[0-9a-f]{64}$/);
  await daemon.stop();
  copyFileSync(daemon.path(copyName), daemon.path('backup.json'));

  // The include is as broken as the file: both come from the copy.
  daemon.write('team-b.yaml', 'policies: [');
  const last = await start(broken);
  assert.equal(await ask('quota', 'get'), '+');
  const said = last.logs.find(({ event }) => event === 'last-served');
  assert.equal(said?.['level'], 'error');
  assert.ok(String(said?.['text']).includes(place), String(said?.['text']));
  assert.equal(said?.['hash'], hash);
  assert.equal(startRecord(last)?.['version'], hash);
  assert.ok(String(startRecord(last)?.['reason']).includes('.yaml:'));
  const ready = await admin('/readyz');
  assert.equal(ready.status, 200);
  assert.match(ready.body, /"code": "last-served"/);
  assert.match((await admin('/metrics')).body, /^dovegate_config_reload_success 0$/m);
  const status = await runWarm(['status', '--config', last.configFile]);
  assert.match(status.text, /The file had problems at the start.*may still be allowed/);
  assert.match(status.text, /SERVES THE LAST CONFIGURATION SINCE/);

  // It stays that until a good file is there, also for the start after the next crash.
  assert.match(String((await last.reload(broken, 'reload-failed'))['text']), /biling|team-b/);
  assert.match((await admin('/readyz')).body, /"code": "last-served"/);
  await last.kill();
  const again = await start(broken);
  assert.equal(await ask('quota', 'get'), '+');
  again.write('team-b.yaml', team('quota get'));
  await again.reload(good);
  assert.equal(await ask('mailbox', 'list'), '-NOPERM');
  assert.doesNotMatch((await admin('/readyz')).body, /last-served/);
  await again.kill();

  // What a reload took is what the next start takes.
  const reloaded = await start(broken);
  assert.equal(await ask('mailbox', 'list'), '-NOPERM');
  assert.notEqual(startRecord(reloaded)?.['version'], hash);
  await reloaded.stop();
  const stopped = await runWarm(['status', '--config', reloaded.configFile]);
  assert.equal(stopped.exit, 69);
  assert.ok(stopped.text.includes(`no start serves this file, so mend it first: ${place}:`), stopped.text);
  await refused(['--no-last']);
}

async function refuseCopies({ daemon, refused }: Served): Promise<void> {
  const copy = daemon.path(copyName);
  const fresh = readFileSync(copy, 'utf8');
  /** Why a start with the file that stands there serves no copy. */
  const why = (): string => {
    const { configFile } = daemon;
    const last = loadLast(configFile, loadConfiguration(configFile));
    return typeof last === 'object' ? 'it is served' : (last ?? 'there is none');
  };
  assert.equal(why(), 'it is served');

  // An old policy that comes back with a backup of `state`: whatever the reason is, it stands in the log, and nobody is served.
  copyFileSync(daemon.path('backup.json'), copy);
  assert.match(await refused(), /is not served.*it is from a backup, of another release, or damaged/);
  assert.match(why(), /it is from a backup, of another release, or damaged/);
  // Another policy in the copy.
  writeFileSync(copy, fresh.replace('allow: [quota get]', 'allow: [quota get, fetch]'));
  assert.match(why(), /it is from a backup, of another release, or damaged/);
  writeFileSync(copy, fresh.slice(0, -100));
  assert.match(why(), /served-configuration\.json is damaged/);
  writeFileSync(copy, fresh.replace('"file":"', '"file":"/other'));
  assert.match(why(), /served-configuration\.json is that of \/other/);
  // Others could have changed it.
  writeFileSync(copy, fresh);
  chmodSync(copy, 0o666);
  assert.match(why(), /can be changed by every user/);
  chmodSync(copy, 0o600);
  // A secret that it names is gone.
  const password = readFileSync(daemon.path('mail1.password'), 'utf8');
  rmSync(daemon.path('mail1.password'));
  assert.match(why(), /mail1\.password cannot be read/);
  daemon.write('mail1.password', password);
  assert.equal(why(), 'it is served');
  // Without the journal nothing says that it is the last one.
  rmSync(daemon.path('audit/checkpoint.json'));
  assert.match(why(), /ends with none/);
  rmSync(copy);
  assert.equal(why(), 'there is none');
}
