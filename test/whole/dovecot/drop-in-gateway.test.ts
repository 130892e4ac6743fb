// Goal: through dovegate, which does not say what is behind it, the drop-in prints server commands as the backend's own release does; and
// the real doveadm keeps dovegate's own commands to itself. What must not happen: the columns of another release where the reply tells
// which it is.
import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../../../src/client/connect.js';
import { builtProgram } from '../../kit/gate/daemon.js';
import { ends, runProgram } from '../../kit/plain/program.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const policy = `
    users: ["*"]
    allow: [kick, { command: log errors, all_users: true }]`;

onDovecot('behind dovegate, server commands of the drop-in', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, { policy });
  const socket = gateway.daemon.path('support.sock');
  const link = join(lab.folder, 'doveadm');
  symlinkSync(builtProgram, link);
  const ours = (words: readonly string[]) =>
    runProgram(process.execPath, [link, ...words], { env: { DOVEADM_SOCKET: socket } });
  // So that there is something to tell: a field that a server does not know ends its process.
  const session = await connect({ socket: lab.unixPreauth });
  await assert.rejects(session.run({ user: alice, name: 'fetch', args: ['--', 'nonsense', 'all'] }));
  await session.close();
  for (const format of [[], ['-f', 'tab'], ['-f', 'json']]) {
    for (const words of [
      ['log', 'errors'],
      ['kick', 'nobody@example.org'],
    ]) {
      const real = await lab.doveadm([...format, ...words]);
      const told = await ours([...format, ...words]);
      const title = `doveadm ${[...format, ...words].join(' ')}`;
      // Where nobody is kicked, that of 2.3 says so below its rows; ours cannot tell the release, and has the names of 2.4.
      const wanted = real.stdout
        .toString()
        .replace(/no users kicked\n$/, '')
        .replace(/^result\n$/, 'count\n');
      assert.equal(told.stdout.toString(), wanted, `${title}\n${told.stderr}`);
      assert.equal(told.exit, real.exit, title);
    }
  }
  // It knows its own names only, and asks nobody.
  await ends(64, lab.doveadm(['dovegate', 'can', '-S', lab.inRoot(socket)]));
  const can = await ours(['-f', 'tab', 'dovegate', 'can']);
  assert.match(can.stdout.toString(), /^allow\tkick$/m);
  const own = (await gateway.finish()).filter(({ command }) => String(command).startsWith('dovegate'));
  assert.equal(own.length, 2);
});
