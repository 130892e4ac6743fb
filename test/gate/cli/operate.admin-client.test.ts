// Goal: who may not reach the admin socket is told so, and by whom it can be reached; that is another answer than that of a daemon that is
// not there. Needs root, to be somebody else.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { askPage } from '../../../src/evidence/cli/ask-page.js';
import { findDaemon } from '../../../src/gate/cli/operate.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { openStandIn } from '../../whole/cli/stand-in.js';

test('an admin socket that this user may not reach', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root can be somebody else');
  const folder = openFolder(t);
  chmodSync(folder, 0o755);
  const socket = await openStandIn(t, (_request, response) => response.end('{}'), folder);
  const asUser = (...args: string[]) =>
    runProgram(
      'setpriv',
      ['--reuid=64101', '--regid=64101', '--clear-groups', process.execPath, builtProgram].concat(args),
    );
  const asSomebody = (...args: string[]) => asUser(...args, '--socket', socket);
  for (const [mode, whom] of [
    [0o600, '"root" only (mode 0600); run it as root (sudo)'],
    [
      0o660,
      '"root" and the group "daemon" (mode 0660); ask to be added to the group "daemon" (usermod --append --groups daemon NAME), and log in again',
    ],
  ] as const) {
    chmodSync(socket, mode);
    chownSync(socket, 0, 1);
    for (const args of [['status'], ['kill', 'ID'], ['backend', 'drain', 'mail1'], ['reload'], ['can']]) {
      const { exit, stderr } = await asSomebody(...args);
      assert.equal(exit, 77, stderr);
      assert.ok(stderr.includes(`permission denied: ${socket} is for ${whom}`), stderr);
      if (mode === 0o660) break;
    }
  }
  // The group of root reads every journal: nobody is told to join it.
  chownSync(socket, 0, 0);
  const own = await asSomebody('status');
  assert.match(own.stderr, /is for "root" and few others \(mode 0660\); ask for a role on the page/);
  assert.doesNotMatch(own.stderr, /usermod/);
  chmodSync(folder, 0o700);
  const hidden = await asSomebody('status');
  assert.equal(hidden.exit, 77, hidden.stderr);
  assert.match(
    hidden.stderr,
    /permission denied: \S+ is for "root" only \(mode 0700\); run it as root \(sudo\)/,
  );
  // The usual file is for root and the daemon: that is no problem of the file, and no advice to join the daemon's group.
  chmodSync(folder, 0o755);
  const config = join(folder, 'dovegate.yaml');
  writeFileSync(config, '', { mode: 0o600 });
  for (const args of [['status'], ['kill', 'ID'], ['backend', 'drain', 'mail1'], ['reload']]) {
    const { exit, stderr } = await asUser(...args, '--config', config);
    assert.deepEqual(
      [exit, stderr],
      [77, `${config} cannot be read: permission denied; run it as root (sudo)\n`],
    );
  }
  // With the page's socket open to this user, the page is the way that is left.
  const page = join(folder, 'page.sock');
  const people = '{ anna: { user: root, role: operate } }';
  writeFileSync(page, '');
  chmodSync(page, 0o666);
  writeFileSync(config, `admin: { unix: ${socket}, page: { unix: ${page}, people: ${people} } }\n`);
  chmodSync(config, 0o644);
  chmodSync(socket, 0o600);
  const onCall = await asUser('status', '--config', config);
  assert.equal(onCall.exit, 77, onCall.stderr);
  assert.ok(
    onCall.stderr.endsWith(
      `run it as root (sudo)\nwithout root, with a role on the page: dovegate page open --socket ${page}\n`,
    ),
    onCall.stderr,
  );
  const gone = await runWarm(['status', '--socket', join(folder, 'none.sock')]);
  assert.equal(gone.exit, 69, gone.text);
});

test('an answer without end is cut off', async (t) => {
  const piece = Buffer.alloc(1 << 20, ' ');
  let sent = 0;
  const socket = await openStandIn(t, (_request, response) => {
    const more = (): void => {
      sent += piece.length;
      if (sent > 4 * bounds.daemonAnswerBytes) response.end();
      else response.write(piece, () => more());
    };
    response.on('error', () => undefined);
    more();
  });
  const { exit, stderr } = await runWarm(['kill', '--socket', socket, 'ID']);
  assert.equal(exit, 69, stderr);
  assert.match(stderr, /the answer has more than 67108864 bytes/);
});

// Goal: a server at the admin socket or the page's that sends a byte now and then does not hold a command for ever.
// bounds.daemonAnswerTime
test('an answer must be whole in time, whatever comes of it before', async (t) => {
  let pieces = 0;
  let heard = (): void => undefined;
  /** Until so many bytes have come from now on. */
  const some = (): Promise<void> =>
    new Promise((resolve) => {
      pieces = 0;
      heard = resolve;
    });
  const socket = await openStandIn(t, (_request, response) => {
    const timer = setInterval(() => {
      pieces += 1;
      response.write(' ', pieces > 20 ? heard : undefined);
    }, 1);
    response.on('close', () => clearInterval(timer));
  });
  const ask = await findDaemon({ config: '', socket });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const late: unknown[] = [];
  const asked = [ask('POST', '/kill/ID'), askPage(socket).me()].map((answer) =>
    answer.catch((fault: unknown) => void late.push(fault)),
  );
  await some();
  t.mock.timers.tick(29_999);
  await some();
  assert.deepEqual(late, []);
  t.mock.timers.tick(1);
  await Promise.all(asked);
  for (const fault of late) assert.match(String(fault), /no whole answer within 30 s/);
  assert.equal(late.length, 2);
});
