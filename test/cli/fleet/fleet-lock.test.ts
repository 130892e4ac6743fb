// Goal: who signs locks for gates is told at once what no gate would do, what is not known, and what nobody has confirmed. No server is
// there: lines are printed. The way of a line to gates is in test/fleet/fleet-lock.test.ts.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { builtProgram } from '../../kit/daemon.js';
import { openFolder } from '../../kit/folder.js';
import { runProgram } from '../../kit/program.js';
import { runWarm } from '../../kit/warm-program.js';

function openSigner(t: TestContext) {
  const folder = openFolder(t);
  const config = join(folder, 'fleet.yaml');
  // Nobody listens there.
  writeFileSync(
    config,
    `nats: tls://127.0.0.1:9\nstate: state\nhosts: { gate-1: {}, gate-2: {} }\ncertificate: no.pem\nkey: no.key\n`,
  );
  mkdirSync(join(folder, 'fleet/admin'), { recursive: true, mode: 0o700 });
  const run = (...args: string[]) => runWarm(['audit', 'fleet', ...args, '--config', config]);
  return { run, at: (name: string) => join(folder, name) };
}

const about = ['--for', '1h', '--reason', 'case 17'] as const;

test('what no gate locks, and what is not locked', async (t) => {
  const { run } = openSigner(t);
  assert.equal((await run('lock', '--new-key')).exit, 0);
  for (const [target, why] of [
    ['root', /the gates would not take that: root is not locked, nor a person who may be root/],
    ['0', /root is not locked/],
    ['user:*', /\* is no name of one mail user/],
    ['user:a?@example.org', /is no name of one mail user/],
    ['user:', /is no name of one mail user/],
  ] as const) {
    const refused = await run('lock', target, ...about, '--print');
    assert.equal(refused.exit, 64, refused.text);
    assert.match(refused.stderr, why);
    assert.equal(refused.stdout.length, 0);
  }
  assert.equal((await run('lock', 'carol', ...about, '--print', '--hosts', 'gate-1')).exit, 0);
  const nobody = await run('unlock', 'nobody', '--reason', 'x', '--print');
  assert.equal(nobody.exit, 75, nobody.text);
  assert.match(nobody.stderr, /^dovegate: this key has no lock of "nobody"; /);
  const there = await run('unlock', 'carol', '--reason', 'x', '--print', '--hosts', 'gate-2');
  assert.equal(there.exit, 75, there.text);
  assert.match(there.stderr, /this key locks carol on gate-1, and not on gate-2/);
});

test('what is given, and who gives it', async (t) => {
  const { run, at } = openSigner(t);
  await run('lock', '--new-key');
  const printed = (await run('lock', 'carol', ...about, '--print')).stdout.toString();
  const give = (text: string) => {
    writeFileSync(at('lines'), text);
    return runWarm(['audit', 'fleet', 'give', at('lines'), '--door', at('door')]);
  };
  for (const [text, why] of [
    ['', /there is no line of "dovegate audit fleet lock --print"$/m],
    [printed.replace('carol', 'dave!'), /there is no line of .*: its signature is wrong$/m],
    ['hello\n', /there is no line of .*: it is no signed line of locks$/m],
  ] as const) {
    const refused = await give(text);
    assert.equal(refused.exit, 64, refused.text);
    assert.match(refused.stderr, why);
  }
  const away = await give(`${printed}${printed.replace('carol', 'dave!')}`);
  assert.equal(away.exit, 69, away.text);
  assert.match(away.stderr, /not given: 1 line: its signature is wrong\n.*is a receiver configured\?/);
  if (process.getuid?.() !== 0) return t.diagnostic('only root can be somebody else');
  // The socket of root is there, and another user asks.
  const server = createServer().listen(at('door'));
  t.after(() => server.close());
  await once(server, 'listening');
  chmodSync(at('door'), 0o600);
  chmodSync(at('.'), 0o755);
  const program = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, builtProgram];
  const denied = await runProgram('setpriv', [...program, 'audit', 'fleet', 'give', '--door', at('door')], {
    stdin: printed,
    cwd: '/',
  });
  assert.equal(denied.exit, 77, denied.text);
  assert.match(denied.stderr, /door: permission denied; run it as root$/m);
});

test('a key, or what it locked, that is not here', async (t) => {
  const { run, at } = openSigner(t);
  for (const args of [['locks'], ['lock', 'carol', ...about]]) {
    const away = await run(...args);
    assert.equal(away.exit, 78, away.text);
    assert.match(
      away.stderr,
      /fleet-lock\.key is not there: it may be kept elsewhere, .*: bring both back; to make/,
    );
  }
  await run('lock', '--new-key');
  const first = await run('locks');
  assert.equal(first.exit, 0, first.text);
  assert.equal(first.text, 'this key locks nobody\n');
  const printed = await run('lock', 'carol', ...about, '--print');
  assert.match(printed.stderr, /^dovegate: no stream has these lines: .*"locks --send" sends them, too\n$/);
  assert.match(
    (await run('locks')).text,
    /carol until .* signed for gate-1, gate-2\nwhich gates have taken it: /,
  );

  rmSync(at('fleet/admin/fleet-lock.json'));
  const lost = await run('locks', '--print');
  assert.match(lost.stderr, /is missing: these lines lift all that this key locked before\n/);
  rmSync(at('fleet/admin/fleet-lock.json'));
  // Nobody but the streams knows, and no server is there.
  for (const args of [['locks'], ['locks', '--send']]) {
    const unknown = await run(...args);
    assert.notEqual(unknown.exit, 0, unknown.text);
    assert.doesNotMatch(unknown.text, /locks nobody/);
  }
});
