// Goal: an operator sees what runs, ends it, takes a backend out of service and reloads, and each leaves a record with who did it.
// Phases: status and kill; drain, over a restart; a reload that is good and one that is not. What must not happen: a change without a
// record, a drain that a restart forgets, a configuration that is served by half.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { builtProgram, type Daemon, startDaemon, startShip } from '../../kit/gate/daemon.js';
import { auditRecords, type Gateway, openGateway } from '../../kit/gate/gateway.js';
import { createGate, type Script } from '../../kit/gate/script.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { runProgram } from '../../kit/plain/program.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const more = 'admin: { unix: admin.sock }';
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const list = { user: 'alice@example.org', fields: ['mailbox list'] };

async function run(client: RawClient, command = quota): Promise<string> {
  return (await client.ask(command)).status;
}

function dovegate(daemon: Daemon, ...args: string[]) {
  return runWarm([...args, '--config', daemon.configFile], { cwd: daemon.folder });
}

async function metric(daemon: Daemon, name: string): Promise<number> {
  const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(body)?.[1]);
}

const nameOfUs = (): string => (process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? ''));

/** Its backend answers when the test is over, and not before. */
function openHeld(t: TestContext): Promise<Gateway> {
  const gate = createGate();
  t.after(() => gate.open());
  const script: Script = async (_command, connection) => {
    await gate.opened;
    await connection.status('+');
  };
  return openGateway(t, { more, backend: { script } });
}

test('commands that hang, and are ended', async (t) => {
  const { client, daemon, backend } = await openHeld(t);

  await t.test(
    'what runs is listed with its id, and can be ended; the client is told, and the record says who',
    async () => {
      const one = await client();
      one.sendCommand(quota);
      await backend.waitFor((dovecot) => dovecot.commands.length === 1, 'the command');
      const table = await dovegate(daemon, 'status');
      assert.equal(table.exit, 0, table.text);
      const [, id = ''] =
        /^(01\S+) +\S+@support +alice@example\.org +quota get +mail1/m.exec(table.text) ?? [];
      assert.notEqual(id, '', table.text);
      const json = JSON.parse((await dovegate(daemon, 'status', '--json')).text);
      // Who watches through a pipe may stop reading.
      const watched = `"${process.execPath}" "${builtProgram}" status --watch --socket admin.sock | head -1; echo "\${PIPESTATUS[0]}"`;
      const head = await runProgram('bash', ['-c', watched], { cwd: daemon.folder });
      // On a busy machine its first line is a problem.
      assert.match(head.text, /^(?:dovegate +\d|Nothing was served for )[^\n]*\n0\n$/);
      assert.equal(json.exchanges[0].id, id);

      const killed = await dovegate(daemon, 'kill', id);
      assert.equal(killed.exit, 0, killed.text);
      assert.equal((await one.readReply()).status, '-TEMPFAIL');
      assert.equal((await dovegate(daemon, 'kill', id)).exit, 1);
      const isEnded = (each: Readonly<Record<string, unknown>>): boolean =>
        each['event'] === 'completion' && each['id'] === id;
      await until(() => auditRecords(daemon).some(isEnded), 'the record of its end');
      const records = auditRecords(daemon);
      const kills = records.filter(({ event }) => event === 'operator');
      assert.deepEqual(
        kills.map(({ action, by, id: of, command, backend: at, outcome }) => [
          action,
          by,
          of,
          command,
          at,
          outcome,
        ]),
        [undefined, 'ok'].map((outcome) => ['kill', nameOfUs(), id, 'quota get', 'mail1', outcome]),
      );
      const completion = records.find(isEnded);
      assert.deepEqual([completion?.['outcome'], completion?.['error']], ['unknown', 'killed']);
    },
  );

  await t.test(
    'all that has run longer than a time is ended at once, each with a record; a dry run ends nothing',
    async () => {
      const before = { commands: backend.commands.length, records: auditRecords(daemon).length };
      const clients = [await client(), await client(), await client()];
      for (const one of clients) one.sendCommand(quota);
      await backend.waitFor(
        ({ commands }) => commands.length === before.commands + clients.length,
        'the commands',
      );
      const { body } = await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics');
      assert.match(body, /^dovegate_exchanges_running 3$/m);
      assert.equal(
        (await dovegate(daemon, 'kill', '--older-than', '1d')).text,
        'no command has run that long\n',
      );
      const dry = await dovegate(daemon, 'kill', '--older-than', '1ms', '--dry-run');
      assert.match(dry.text, /^3 commands would be ended$/m);
      const killed = await dovegate(daemon, 'kill', '--older-than', '1ms');
      assert.equal(killed.exit, 0, killed.text);
      assert.match(killed.text, /^3 commands ended$/m);
      for (const one of clients) assert.equal((await one.readReply()).status, '-TEMPFAIL');
      await daemon.stop();
      const records = auditRecords(daemon).slice(before.records);
      const gone = await dovegate(daemon, 'status');
      assert.equal(gone.exit, 69, gone.text);
      const kills = records.filter(({ action, outcome }) => action === 'kill' && outcome === 'ok');
      assert.deepEqual(
        kills.map(({ by }) => by),
        clients.map(() => nameOfUs()),
      );
      for (const { id } of kills) {
        const completion = records.find((each) => each['event'] === 'completion' && each['id'] === id);
        assert.equal(completion?.['error'], 'killed', String(id));
      }
    },
  );
});

test('a backend that an operator drained refuses, also after a restart, until it is enabled; the file has a say of its own', async (t) => {
  const gateway = await openGateway(t, { more });
  const { daemon, client } = gateway;
  assert.equal(await run(await client()), '+');
  assert.equal((await dovegate(daemon, 'backend', 'drain', 'mail9')).exit, 1);
  const drained = await dovegate(daemon, 'backend', 'drain', 'mail1');
  assert.equal(drained.exit, 0, drained.text);
  assert.equal(await run(await client()), '-TEMPFAIL');
  assert.match((await dovegate(daemon, 'status')).text, new RegExp(`drained by ${nameOfUs()} since 20`));
  await daemon.stop();
  const again = await startDaemon(t, { folder: daemon.folder });
  const ask = async (): Promise<string> =>
    run(await openRawClient({ path: again.path('support.sock'), minor: 2 }));
  assert.equal(await ask(), '-TEMPFAIL');

  again.write('dovegate.yaml', gateway.configuration({ mail1: { drained: 'true' } }));
  assert.equal((await dovegate(again, 'reload')).exit, 0);
  const half = await dovegate(again, 'backend', 'enable', 'mail1');
  assert.match(half.text, /stays drained: the configuration says drained/);
  assert.equal(await ask(), '-TEMPFAIL');
  again.write('dovegate.yaml', gateway.configuration({}));
  assert.equal((await dovegate(again, 'reload')).exit, 0);
  assert.equal(await ask(), '+');
  await again.stop();
  const actions = auditRecords(again).flatMap((each) =>
    each['event'] === 'operator' && each['outcome'] === 'ok' && each['carried'] !== true
      ? [each['action']]
      : [],
  );
  assert.deepEqual(actions, ['drain', 'reload', 'enable', 'reload']);
});

test('a reload: policies, listeners and limits of sessions that are open; a file with problems changes nothing', async (t) => {
  const gateway = await openGateway(t, { more });
  const { daemon, client } = gateway;
  const open = await client();
  assert.equal(await run(open, list), '+');
  const narrow = '\n    users: ["*@example.org"]\n    allow: [quota get]';
  const listeners =
    '\n  support: { unix: support.sock, mode: "0666", policy: support }\n  more: { unix: more.sock, policy: support }';
  await daemon.reload(gateway.configuration({ policy: narrow, listeners }));
  assert.equal(await run(open, list), '-NOPERM', 'a session that was open is held to the new policy');
  assert.equal(await run(open), '+');
  const other = await openRawClient({ path: daemon.path('more.sock'), minor: 2 });
  assert.equal(await run(other), '+');
  assert.equal(await metric(daemon, 'dovegate_config_reload_success'), 1);

  const before = readFileSync(daemon.configFile, 'utf8');
  writeFileSync(
    daemon.configFile,
    before.replace('unix: more.sock', 'unix: more.sock, group: nobody-has-this'),
  );
  assert.match((await dovegate(daemon, 'reload')).text, /this machine has no group nobody-has-this/);
  writeFileSync(daemon.configFile, before.replace('allow: [quota get]', 'allow: [quota gte]'));
  const broken = await dovegate(daemon, 'reload');
  assert.equal(broken.exit, 78, broken.text);
  assert.match(broken.text, /dovegate\.yaml:\d+:\d+: .*did you mean quota get/);
  daemon.signal('SIGHUP');
  await daemon.waitForLog(
    ({ event, text }) => event === 'reload-failed' && String(text).includes('did you mean quota get'),
    'told',
  );
  assert.equal(await metric(daemon, 'dovegate_config_reload_success'), 0);
  assert.equal(await run(open), '+');

  // A listener that is gone: its sessions end, the others do not. What needs a restart is said.
  const gone = before.replace(/\n {2}more: .*/, '').replace('admin.sock', 'other.sock');
  assert.doesNotMatch(gone, /^limits:/m);
  writeFileSync(daemon.configFile, `${gone}\nlimits: { line: 800KiB }\n`);
  daemon.signal('SIGHUP');
  const restart = await daemon.waitForLog(({ event }) => event === 'restart-needed', 'restart');
  assert.match(String(restart['text']), /audit\.memory_size admin\.unix limits\.line$/);
  await other.readEnd();
  assert.equal(await run(open), '+');
  await assert.rejects(openRawClient({ path: daemon.path('more.sock'), minor: 2 }));
  await daemon.stop();
  const records = auditRecords(daemon);
  assert.equal(records.filter(({ event }) => event === 'reload').length, 2);
  assert.ok(records.some((each) => each['event'] === 'session-close' && each['reason'] === 'revoked'));
  const versions = new Set(
    records.flatMap((each) => (each['event'] === 'admission' ? [each['version']] : [])),
  );
  assert.equal(versions.size, 2);
});

test('files with problems, and with other receivers', async (t) => {
  const withDoor =
    '{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB }';
  const gateway = await openGateway(t, { more, audit: withDoor });
  const { daemon } = gateway;

  await t.test(
    'a file with problems does not keep operators from their daemon; a socket needs no file',
    async () => {
      const good = gateway.configuration({});
      const broken = { 'a wrong value': `${good}\nlog: { level: loud }`, 'no YAML': `${good}\npolicies: [` };
      for (const [what, text] of Object.entries(broken)) {
        daemon.write('dovegate.yaml', text);
        const status = await dovegate(daemon, 'status', '--json');
        assert.equal(status.exit, 0, `${what}: ${status.text}`);
        assert.equal(JSON.parse(status.stdout.toString()).state, 'serving', what);
        assert.match(status.stderr, /warning: .*dovegate\.yaml: [12] error/, what);
        const drain = await dovegate(daemon, 'backend', 'drain', 'mail1');
        assert.equal(drain.exit, 0, `${what}: ${drain.text}`);
        const reload = await dovegate(daemon, 'reload');
        assert.equal(reload.exit, 78, `${what}: ${reload.text}`);
        assert.match(reload.text, /is not replaced/, what);
      }
      daemon.write('dovegate.yaml', 'nothing: of use');
      const lost = await dovegate(daemon, 'status');
      assert.deepEqual([lost.exit, /--socket/.test(lost.text)], [78, true], lost.text);
      const socket = await runWarm(['backend', 'enable', 'mail1', '--socket', daemon.path('admin.sock')]);
      assert.equal(socket.exit, 0, socket.text);
      // Without both, the daemon of the standard configuration is meant.
      const asked = await runWarm(['status'], { env: { DOVEGATE_CONFIG: daemon.configFile } });
      assert.deepEqual([asked.exit, asked.text.includes(daemon.configFile)], [78, true], asked.text);
      daemon.write('dovegate.yaml', good);
    },
  );

  await t.test('receivers of the records come and go by a reload', async () => {
    const receivers = async (): Promise<string[]> => {
      const status = JSON.parse((await dovegate(daemon, 'status', '--json')).stdout.toString());
      return status.shipping.map(({ name }: { name: string }) => name);
    };
    const reloadWith = async (ship: string): Promise<void> => {
      const audit = `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, ship: [${ship}] }`;
      daemon.write('dovegate.yaml', gateway.configuration({ audit }));
      const reload = await dovegate(daemon, 'reload');
      assert.deepEqual([reload.exit, /read only at a start/.test(reload.text)], [0, false], reload.text);
    };
    assert.deepEqual(await receivers(), []);
    // No receiver listens on port 1.
    await reloadWith('{ syslog: "127.0.0.1:1", ca: ca.pem }');
    assert.deepEqual(await receivers(), ['127.0.0.1:1']);
    const ship = await startShip(t, daemon);
    await ship.waitForLog(({ event }) => event === 'ship-away', 'that it is away');
    await reloadWith('');
    assert.deepEqual(await receivers(), []);
    assert.deepEqual(await ship.exited, { code: 0, signal: null }, 'there is no receiver any more');
    assert.equal((await daemon.stop()).code, 0);
  });
});

test('a reload without an admin socket: the file is checked, then the process is signaled', async (t) => {
  const gateway = await openGateway(t);
  const { daemon } = gateway;
  const good = readFileSync(daemon.configFile, 'utf8');
  const reload = async (args: readonly string[], env: Record<string, string | undefined> = {}) => {
    const words = ['reload', '--config', daemon.configFile, ...args];
    return runWarm(words, {
      cwd: daemon.folder,
      env: { MAINPID: undefined, CREDENTIALS_DIRECTORY: '/run/credentials/x', ...env },
    });
  };
  const pid = String(daemon.pid);
  const nobody = await reload([]);
  assert.deepEqual([nobody.exit, /--pid/.test(nobody.text)], [64, true], nobody.text);
  daemon.write('dovegate.yaml', good.replace('quota get', 'quota gte'));
  const broken = await reload(['--pid', pid]);
  assert.equal(broken.exit, 78, broken.text);
  assert.match(broken.text, /did you mean quota get.*nothing was reloaded/s);
  daemon.write('dovegate.yaml', good);
  for (const [args, env] of [
    [['--pid', pid], {}],
    [[], { MAINPID: pid }],
  ] as const) {
    const before = daemon.logs.filter(({ event }) => event === 'reloaded').length;
    const done = await reload(args, env);
    assert.equal(done.exit, 0, done.text);
    await daemon.waitForLog(
      () => daemon.logs.filter(({ event }) => event === 'reloaded').length > before,
      'reloaded',
    );
  }
  assert.ok(!daemon.logs.some(({ event }) => event === 'reload-failed'));
  await daemon.stop();
  assert.equal((await reload(['--pid', pid])).exit, 69);
  // As in ExecReload=: what the service has of systemd's credentials is not seen.
  daemon.write(
    'dovegate.yaml',
    good.replace(/password_file: \S+/, 'password_file: /run/credentials/x/mail1'),
  );
  const unseen = await reload(['--pid', pid]);
  assert.deepEqual([unseen.exit, /was not looked at/.test(unseen.text)], [69, true], unseen.text);
  // The file names another socket than the daemon has: with a process to signal it is no reason to fail.
  daemon.write('dovegate.yaml', `${good}\nadmin: { unix: admin.sock }\n`);
  assert.equal((await reload([])).exit, 69);
  const again = await startDaemon(t, { config: good, folder: daemon.folder });
  daemon.write('dovegate.yaml', `${good}\nadmin: { unix: admin.sock }\n`);
  assert.equal((await reload([], { MAINPID: String(again.pid) })).exit, 0);
  await again.waitForLog(({ event }) => event === 'reloaded', 'reloaded');
  await again.stop();
});
