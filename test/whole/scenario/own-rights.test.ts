// Goal: whoever may connect learns from the daemon itself what he may and why, without reading a file. Phases: can and explain over the
// socket; a reload between two questions; nobody there, or not dovegate.
// What must not happen: a dial, an answer of the old policy, a path, a question without its two records.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { auditRecords, openGateway, recordsOf } from '../../kit/gate/gateway.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { askHttp } from '../../kit/plain/ask-http.js';
import { openFolder } from '../../kit/plain/folder.js';
import { until } from '../../kit/plain/until.js';

const policy = `
    users: ["*@example.org"]
    except: ["ceo@example.org"]
    allow:
      - quota get
      - { command: fetch, where: { field: [uid, flags] }, reason: required }
    deny: [mailbox delete]
  candidate: { users: ["*"], allow: [who] }`;

void test('can and explain --socket: the answers, the exit codes, the records, the metrics', async (t) => {
  const { daemon, backend, configuration } = await openGateway(t, {
    policy,
    more: 'admin: { unix: admin.sock }',
  });
  const socket = daemon.path('support.sock');
  // Nothing but the socket is there for them: another folder, no configuration.
  const ask = (what: string, ...args: string[]) =>
    runWarm([what, '--socket', socket, ...args], { cwd: openFolder(t) });
  const can = await ask('can');
  assert.equal(can.exit, 0, can.text);
  assert.match(can.text, /^listener +support$/m);
  assert.match(can.text, /^policy +support$/m);
  assert.match(can.text, /^ {2}fetch +read \*$/m);
  assert.match(can.text, /field: uid or flags/);
  const json = JSON.parse((await ask('can', '--json')).stdout.toString());
  assert.deepEqual(
    json.allow.map(({ command }: { command: string }) => command),
    ['quota get', 'fetch'],
  );
  assert.deepEqual([json.policy, json.mode, json.except], ['support', 'enforce', ['ceo@example.org']]);

  const explain = (...args: string[]) => ask('explain', '--user', 'bob@example.org', ...args);
  const allowed = await explain('--', 'fetch', 'uid', 'mailbox', 'INBOX');
  assert.equal(allowed.exit, 0, allowed.text);
  assert.match(allowed.text, /^allowed: a rule of policy support$/m);
  assert.match(allowed.text, /on terms +the client must say why/);
  assert.match(allowed.text, /backend +mail1/);
  const denied = await explain('--json', '--', 'fetch', 'hdr', 'all');
  assert.equal(denied.exit, 77);
  assert.equal(JSON.parse(denied.stdout.toString()).nearest.command, 'fetch');
  const unknown = await explain('--', 'quota', 'gte');
  assert.equal(unknown.exit, 64);
  assert.match(unknown.text, /did you mean "quota get"/);
  assert.equal((await ask('explain', '--', 'dovegate', 'can')).exit, 0);
  for (const { text } of [can, allowed, denied, unknown]) {
    assert.doesNotMatch(text, /\.yaml|candidate/);
    assert.ok(!text.includes(daemon.folder));
  }

  // What holds now is told, not what held when the daemon started.
  daemon.write(
    'dovegate.yaml',
    configuration({ policy: policy.replace('      - quota get\n', ''), more: 'admin: { unix: admin.sock }' }),
  );
  assert.equal((await runWarm(['reload', '--config', daemon.configFile])).exit, 0);
  assert.doesNotMatch((await ask('can')).text, /quota get/);
  assert.equal((await explain('--', 'quota', 'get')).exit, 77);

  assert.equal(backend.commands.length, 0);
  // A client has its answer before the completion is counted and written.
  const completions = () => recordsOf(daemon, 'completion').length;
  await until(() => completions() === 8, 'the completion of each question');
  const counted = (await askHttp({ socketPath: daemon.path('admin.sock') }, '/metrics')).body;
  assert.match(
    counted,
    /^dovegate_exchanges_total\{listener="support",command="dovegate can",decision="allow",outcome="ok"\} 3$/m,
  );
  assert.match(
    counted,
    /^dovegate_exchanges_total\{listener="support",command="dovegate explain",decision="allow",outcome="ok"\} 5$/m,
  );
  const records = auditRecords(daemon);
  const admissions = records.filter(({ event }) => event === 'admission');
  assert.equal(admissions.length, 8);
  for (const { effect, decision } of admissions) assert.deepEqual([effect, decision], ['session', 'allow']);
  const verified = await runWarm(['audit', 'verify', daemon.path('audit'), '--unsigned']);
  assert.equal(verified.exit, 0, verified.text);
});

void test('nobody there is 69, and so is somebody else; two places at once, or none, is 64', async (t) => {
  const folder = openFolder(t);
  const path = join(folder, 's');
  const none = await runWarm(['can', '--socket', path]);
  assert.equal(none.exit, 69, none.text);
  await openScriptedDovecot({
    unix: path,
    minor: 3,
    // As Dovecot does with a command that it does not know.
    script: async (_command, connection) => connection.end(),
    owner: t,
  });
  for (const args of [['can'], ['explain', '--user', 'bob', '--', 'quota', 'get']]) {
    const [what = '', ...more] = args;
    const told = await runWarm([what, '--socket', path, ...more]);
    assert.equal(told.exit, 69, told.text);
    assert.equal((await runWarm([what, ...more])).exit, 64);
    const both = await runWarm([
      what,
      '--socket',
      path,
      '--config',
      'dovegate.yaml',
      '--listener',
      's',
      ...more,
    ]);
    assert.equal(both.exit, 64, both.text);
  }
  assert.equal((await runWarm(['can', '--socket', 'nowhere'])).exit, 64);
});
