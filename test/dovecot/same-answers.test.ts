// Goal: whoever asks through the daemon gets what Dovecot would have said itself, byte for byte, and with the same exit code.
// Phases, for each release asked for: the real doveadm with every format; clients of every protocol minor; 100 commands over one upstream.
// What must not happen: a changed byte, another status, a second TLS handshake for the second command, a password that is written down.
import assert from 'node:assert/strict';
import { type Lab, releases } from '../kit/dovecot-lab.js';
import type { Owner } from '../kit/folder.js';
import { openRawClient } from '../kit/raw-client.js';
import { openTcpCounter } from '../kit/tcp-counter.js';
import { isGood, plainCommands, titleOf } from './plain-commands.js';
import {
  alice,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  type RealGateway,
  runAt,
} from './real-gateway.js';

const formats = ['tab', 'flow', 'json', 'pager', 'table'];
const formatsOfFailures: readonly (string | undefined)[] = ['tab', 'json', undefined];

if (process.env['DOVEGATE_RELEASES'] === undefined) {
  console.log(
    `only the machine's own Dovecot is tested; DOVEGATE_RELEASES="${releases.join(' ')}" tests all`,
  );
}
onDovecot('the same answers through the daemon as at its own socket', openRealDovecot, async (t, lab) => {
  await t.test('the real doveadm prints the same and exits alike, in every format', async (sub) => {
    const gateway = await openRealGateway(sub, lab);
    for (const format of [undefined, ...formats]) await compareDoveadm(lab, gateway, format);
    await gateway.finish();
  });
  await t.test('clients of minor 0 to 4 get the same cells and the same status', async (sub) => {
    const gateway = await openRealGateway(sub, lab);
    for (const minor of [0, 1, 2, 3, 4]) await compareMinor(sub, lab, gateway, minor);
    await gateway.finish();
  });
  await t.test('100 commands one after another use one connection and one TLS handshake', async (sub) => {
    const counter = await openTcpCounter(lab);
    sub.after(() => counter.close());
    const gateway = await openRealGateway(sub, lab, { port: counter.port });
    for (let n = 0; n < 20; n += 1) {
      assert.equal((await gateway.doveadm(['quota', 'get', '-u', alice])).exit, 0);
    }
    const client = await gateway.client({ minor: 2 });
    for (let n = 0; n < 80; n += 1) {
      assert.equal((await client.ask({ user: alice, fields: ['mailbox list'] })).status, '+');
    }
    assert.deepEqual([counter.connections, counter.tlsHandshakes], [1, 1]);
    await gateway.finish();
  });
});

async function isSameOnWire(
  lab: Lab,
  gateway: RealGateway,
  { name, user, args }: (typeof plainCommands)[number],
): Promise<boolean> {
  const clients = [
    await openRawClient({ path: lab.unixPreauth, minor: 2 }),
    await gateway.client({ minor: 2 }),
  ];
  const replies: Buffer[] = [];
  for (const client of clients) {
    replies.push((await client.ask({ user, fields: [name, ...args] })).body);
    client.close();
  }
  const [own, through] = replies;
  return own !== undefined && own.length > 0 && through?.equals(own) === true;
}

/** Runs every command at Dovecot's preauthenticated socket and at the daemon's. */
async function compareDoveadm(lab: Lab, gateway: RealGateway, format: string | undefined): Promise<void> {
  for (const command of plainCommands) {
    // Of a failure nothing is printed but a line of names, or none.
    if (command.outcome === 'failed' && !formatsOfFailures.includes(format)) continue;
    const title = `-f ${format ?? 'none'} ${titleOf(command)}`;
    // The program of 2.4.1 dies of that at Dovecot's own socket too (json_generate_object_member, assertion failed).
    if (lab.series === '2.4' && format === 'json' && command.isBig) continue;
    const args = [...command.name.split(' '), '-u', command.user, ...command.args];
    // The program refuses that if it comes in several pieces, and prints it to its first NUL if in one. Where pieces end means nothing, and
    // 2.4.5 makes two of them around 03 FE: the bytes on the wire count.
    if (command.isText && format === 'table') {
      assert.ok(await isSameOnWire(lab, gateway, command), title);
      continue;
    }
    const own = await runAt(lab, lab.unixPreauth, args, format);
    const through = await gateway.doveadm(args, format === undefined ? {} : { format });
    assert.equal(through.exit, own.exit, `${title}: ${through.stderr}`);
    const isCutAnyhow = format === 'json' && command.isBig === true;
    const [left, right] = [own.stdout, through.stdout].map((bytes) => (isCutAnyhow ? asciiOf(bytes) : bytes));
    // Not deepEqual: the difference of two answers of megabytes is nothing to print.
    const isEqual = left !== undefined && right?.equals(left) === true;
    const isSame = isEqual || (command.isText === true && (await isSameOnWire(lab, gateway, command)));
    assert.ok(isSame, `${title}: stdout differs`);
    assert.equal(own.exit === 0, isGood(command, lab.series), `${title}: ${own.stderr}`);
    if (command.isBig) assert.ok(own.stdout.length > 5 * 1024 * 1024, title);
  }
}

/**
 * What is left of JSON of a long 8-bit text. The real program makes JSON of each piece that it happens to read, and U+FFFD of a
 * character that two pieces share, so its 8-bit output differs from run to run at Dovecot's own socket too (measured on 2.3.19.1).
 */
function asciiOf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.filter((byte) => byte < 0x80));
}

/** Each command on a session of its own, so that no failure has to do with the one before. */
async function compareMinor(owner: Owner, lab: Lab, gateway: RealGateway, minor: number): Promise<void> {
  for (const command of plainCommands) {
    const title = `minor ${minor}: ${titleOf(command)}`;
    const answers: unknown[] = [];
    const own = await openRawClient({ path: lab.unixPreauth, minor, owner });
    for (const client of [own, await gateway.client({ minor })]) {
      const { bodySha256Hex, bodyBytes, status } = await client.ask(
        { user: command.user, fields: [command.name, ...command.args] },
        { keepBody: false },
      );
      answers.push({ bodySha256Hex, bodyBytes, status });
      assert.equal(status === '+', isGood(command, lab.series), title);
      if (command.isBig) assert.ok(bodyBytes > 5 * 1024 * 1024, title);
      client.close();
    }
    assert.deepEqual(answers[1], answers[0], title);
  }
}
