// Goal: what known programs send over the doveadm protocol, byte for byte, has the same answer with the gate and without it.
// Phases, for each release asked for: allowed, denied; Net::Doveadm, which sends several commands at once, with every `refusal_cell`.
// What must not happen: another byte in an answer; a denial that a program takes for success; with `refusal_cell: all`, an answer that
// Net::Doveadm takes for that of another command.
// The bytes are from the sources of the programs, written by us; no code of theirs is here. test/whole/dovecot/dsync.test.ts runs the
// real replicator.
import assert from 'node:assert/strict';
import net from 'node:net';
import { readAsNetDoveadm, stillWaiting } from '../../kit/plain/net-doveadm.js';
import { alice, onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const nobody = 'nobody@example.org';
const small = 'small@example.org';
const bob = 'bob@example.org';

/** When it sends: each line after the answer to the one before; all after the greeting; all with VERSION. */
type Pace = 'in turn' | 'after the greeting' | 'at once';

/** All are of protocol 1.0, and read two lines for each answer. */
interface WireClient {
  readonly pace: Pace;
  readonly lines: readonly string[];
  /** The rules that it needs. */
  readonly allow: readonly string[];
  /** Of that series only. */
  readonly series?: '2.3';
}

const clients: Readonly<Record<string, WireClient>> = {
  // Cpanel/Dovecot/Doveadm.pm and Utils.pm of 2022. It sees an account without a session in `-NOTFOUND`, and a plugin that is not
  // there in `-`.
  cpanel: {
    pace: 'in turn',
    lines: [
      `D\t\tkick\t${nobody}`,
      'D\t\tkick\t*@example.org',
      `D\t\tkick\t${alice}`,
      `\t${alice}\tfts rescan`,
      `\t${nobody}\tfts rescan`,
    ],
    allow: ['{ command: kick, masks: true }', 'fts rescan'],
  },
  // src/replication/replicator/dsync-client.c at 878d28c7. After `-NOUSER` and `-NOREPLICATE` it forgets the user; after others
  // it tries again.
  replicator: {
    pace: 'at once',
    lines: [
      `\t${alice}\tsync\t-d\t-N\t-l\t30\t-U\t-f\t-s\t`,
      `\t${nobody}\tsync\t-d\t-N\t-l\t30\t-U\t-s\tAQAAAGVhSSX78Alr2lAAAIPsw3X8`,
    ],
    allow: [
      '{ command: sync, root_equivalent: true, where: { default-destination: any, all-namespaces: any, lock-timeout: any, replicator-notify: any, full-sync: any, state: any } }',
    ],
    series: '2.3',
  },
};

onDovecot('known programs at the socket', openRealDovecot, async (t, lab) => {
  const names = Object.keys(clients);
  const gateway = await openRealGateway(t, lab, {
    listeners: names
      .map((name) => `  ${name}: { unix: ${name}.sock, mode: "0600", policy: ${name} }`)
      .join('\n'),
    policies: Object.entries(clients)
      .map(([name, { allow }]) => `  ${name}: { users: ["*@example.org"], allow: [${allow.join(', ')}] }`)
      .join('\n'),
  });
  for (const [name, { pace, lines, series = lab.series }] of Object.entries(clients)) {
    if (series !== lab.series) continue;
    const [socket, denying] = [`${name}.sock`, 'support.sock'].map((file) => gateway.daemon.path(file));
    // Each on a connection of its own: a process of 2.4 puts cells of a server command into later answers.
    let direct = '';
    for (const line of lines) direct += await answersTo([line], pace, lab.unixPreauth);
    assert.equal(direct.match(/\n/g)?.length, 2 * lines.length, `${name}: ${direct}`);
    assert.equal(await answersTo(lines, pace, socket ?? ''), direct, name);
    assert.equal(await answersTo(lines, pace, denying ?? ''), '\n-NOPERM\n'.repeat(lines.length), name);
  }
  await gateway.finish();
});

// lib/Net/Doveadm.pm at d01f531, with each request taken off its queue, which the released module does not do.
const pipelined = [
  `\t${bob}\tquota\tget`,
  `\t${nobody}\tquota\tget`,
  `\t${alice}\tmailbox\tlist\tNope*`,
  `\t${alice}\tmailbox\tdelete\tNope`,
  `\t${small}\tquota\tget`,
];

onDovecot('Net::Doveadm at the socket, with every refusal_cell', openRealDovecot, async (t, lab) => {
  const gateway = await openRealGateway(t, lab, {
    listeners: `  panel: { unix: panel.sock, mode: "0600", refusal_cell: true, policy: support }
  perl: { unix: perl.sock, mode: "0600", refusal_cell: all, policy: support }`,
  });
  const read = async (path: string) =>
    readAsNetDoveadm(await answersTo(pipelined, 'after the greeting', path));
  const [ofBob, ofSmall] = [await quotaOf(bob, lab.unixPreauth), await quotaOf(small, lab.unixPreauth)];
  assert.notEqual(ofBob, ofSmall);
  const at = (name: string): string => gateway.daemon.path(`${name}.sock`);

  const [first, stranger, empty, denied, last, ...more] = await read(at('perl'));
  assert.deepEqual(
    [first, stranger, empty, last, more],
    [[ofBob, '+'], ['\t', '-NOUSER'], ['\t', '+'], [ofSmall, '+'], []],
  );
  assert.match(denied?.[0] ?? '', /^dovegate: denied .* \[denied\], id \w{26}\t$/);
  assert.equal(denied?.[1], '-NOPERM');

  // Without it: the stranger's quota is "-NOUSER", with success, and the quota of another user is in the error of the next command.
  const slipped = (refused: string) => [
    [ofBob, '+'],
    ['-NOUSER', '+'],
    [refused, ofSmall],
    ['+', stillWaiting],
  ];
  assert.deepEqual(await read(lab.unixPreauth), slipped('-NOTFOUND'));
  assert.deepEqual(await read(at('support')), slipped('-NOPERM'));
  // A cell for the denial alone is not enough.
  assert.deepEqual((await read(at('panel'))).slice(0, 2), slipped('').slice(0, 2));
  await gateway.finish();
});

async function quotaOf(user: string, path: string): Promise<string> {
  const text = await answersTo([`\t${user}\tquota\tget`], 'in turn', path);
  assert.ok(text.endsWith('\n+\n'), text);
  return text.slice(0, -'\n+\n'.length);
}

/** Everything that came after the greeting: two lines for each answer, or as many as there were before the end. */
function answersTo(lines: readonly string[], pace: Pace, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path, allowHalfOpen: true });
    socket.setTimeout(30_000, () => socket.destroy(new Error(`no answer to ${lines.join('; ')}`)));
    socket.on('error', reject);
    let text = '';
    let sent = 0;
    const send = (count: number): void => {
      for (const line of lines.slice(sent, sent + count)) socket.write(`${line}\n`);
      sent += count;
    };
    socket.on('data', (piece: Buffer) => {
      text += piece.toString('latin1');
      const answered = (text.split('\n').length - 2) / 2;
      if (answered >= lines.length) socket.end();
      else if (answered === sent) send(pace === 'in turn' ? 1 : lines.length);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => {
      if (text.startsWith('+\n')) resolve(text.slice('+\n'.length));
      else reject(new Error(`greeting: ${text}`));
    });
    socket.write('VERSION\tdoveadm-server\t1\t0\n');
    if (pace === 'at once') send(lines.length);
  });
}
