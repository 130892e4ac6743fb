// Goal: a Dovecot that is stopped in the middle of a text for longer than it gives a text (300 s) takes nothing of the text for a command,
// wherever it was and however the bytes lie. Phases, for each release asked for: what it does to such a text as it is, so that the danger
// is seen; every byte with which a command line may begin; then through the daemon and from the client library, over STARTTLS, a UNIX
// socket and TCP alone.
// What must not happen: anything that a line of the text asks for.
// Its limit stands in doveadm-server as a number; a copy with a smaller one makes this short. DOVEGATE_ROUNDS=5 takes the real one.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CommandFailed,
  type CommandInput,
  type ConnectOptions,
  connect,
  type Session,
  SessionFault,
} from '../../../src/client/connect.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import {
  alice,
  backendPassword,
  bob,
  labTestMs,
  onDovecot,
  openRealDovecot,
  openRealGateway,
  passwordSetting,
} from './real-gateway.js';
import { serversOf, signal } from './server-processes.js';

const isReal = Number(process.env['DOVEGATE_ROUNDS'] ?? 1) >= 5;
const realLimitMs = 300_000;
/** A slow machine needs a longer one: the limit is for the whole text, and the servers have to be stopped within it. */
const limitsMs: readonly [number, ...number[]] = isReal ? [realLimitMs] : [2_000, 8_000, 30_000];
/** How much longer it is stopped. */
const moreMs = isReal ? 10_000 : 400;

const command = `\t${bob}\tmailbox create\tEvil`;
type Way = 'starttls' | 'unix' | 'tcp';
/** Stalls each of the stories, sent by that way; how many servers were stopped. */
type Run = (sub: TestContext, way: Way, isHasty: boolean) => Promise<number>;

onDovecot(
  'stopped within a text',
  openRealDovecot,
  async (t, lab) => {
    let [limitMs] = limitsMs;
    if (!isReal && !(await makeImpatient(lab, limitMs)))
      return t.skip('the limit of this doveadm-server was not found');
    /** Repeats what gives how many servers were stopped, with a longer limit, until that is `wanted`. */
    const patiently = async (wanted: number, run: () => Promise<number>): Promise<void> => {
      for (;;) {
        const stopped = await run();
        if (stopped >= wanted) return;
        const longer = limitsMs.find((each) => each > limitMs);
        assert.ok(longer !== undefined, `${stopped} of ${wanted} servers could be stopped in time`);
        t.diagnostic(`${stopped} of ${wanted} servers were stopped within ${limitMs} ms`);
        limitMs = longer;
        await makeImpatient(lab, limitMs);
      }
    };

    await t.test('as it is, a text becomes commands', async () => {
      const timeoutMs = 2 * limitMs + 60_000;
      const client = await openRawClient({ path: lab.unixPreauth, minor: 2, timeoutMs });
      client.sendCommand({ user: alice, fields: ['save'] });
      await client.write('Subject: x\r\n\r\nwords ');
      // Its limit is over, and it has said so.
      assert.notEqual((await client.readReply()).status, '+');
      await client.write(`${command}Direct\r\n.${command}Dot\r\n`);
      client.halfClose();
      await client.closed;
      assert.deepEqual(await evilOf(lab), ['EvilDirect']);
      await lab.doveadm(['mailbox', 'delete', '-u', bob, 'EvilDirect']);
    });

    await t.test('a command begins with a TAB, a flag or an escape, and with no other byte', async () => {
      const bytes = Array.from({ length: 256 }, (_, byte) => byte);
      const odd = new Set(Buffer.from('\0\x01\t\n\r .DdVvXx'));
      const begin = async (byte: number): Promise<void> => {
        const others = odd.has(byte) ? [command.slice(1), `\tproxy-ttl=3${command}`] : [];
        for (const rest of [command, ...others]) {
          const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
          const line = Buffer.concat([Buffer.of(byte), Buffer.from(`${rest}${byte}\n`)]);
          await client.write(line).catch(() => undefined);
          client.halfClose();
          await client.closed;
        }
      };
      for (let at = 0; at < bytes.length; at += 8) await Promise.all(bytes.slice(at, at + 8).map(begin));
      const begun = await evilOf(lab);
      const [soh, tab, D, v, x] = [0x01, 0x09, 0x44, 0x76, 0x78];
      const starts = lab.series === '2.3' ? [soh, tab, D, v] : [soh, tab, D, v, x];
      assert.deepEqual(begun.toSorted(), starts.map((byte) => `Evil${byte}`).toSorted());
      for (const name of begun) await lab.doveadm(['mailbox', 'delete', '-u', bob, name]);
    });

    const throughDaemon: Run = async (sub, way, isHasty) => {
      const more = isHasty ? `limits: { input_time: ${Math.round(limitMs / 2)}ms }` : '';
      const gateway = await openRealGateway(sub, lab, { allow: ['save'], way, more, connections: 8 });
      const clients = new Map<string, RawClient>();
      for (const name of Object.keys(stories)) clients.set(name, await gateway.client({ minor: 2 }));
      // All of them first: the time of a text begins with its command.
      await Promise.all(
        [...clients.values()].map((client) => {
          client.sendCommand({ user: alice, fields: ['save'] });
          // On a busy machine its time may be over before all of it is sent; then one server fewer is stopped.
          return client.write(lead).catch(() => undefined);
        }),
      );
      const sendAll = (which: 'before' | 'after'): void => {
        for (const [name, client] of clients)
          client.write(stories[name]?.[which] ?? '').catch(() => undefined);
      };
      const stopped = await stall(lab, limitMs, sendAll);
      for (const client of clients.values()) client.close();
      assert.deepEqual(await evilOf(lab), []);
      const errors = (await gateway.finish()).map(({ error }) => error);
      // It says so and ends; where it leaves bytes unread, its end may overtake what it said.
      const early = errors.filter((error) => error === 'early-answer' || error === 'closed-early').length;
      const refused = errors.filter((error) => error === 'input-command-like').length;
      sub.diagnostic(`${stopped} stopped; ${early} gave the text up, ${refused} never got the line`);
      // Where our own time was over before, nobody is left to hear that it was given up.
      if (stopped >= heldBy[way] && !isHasty && !isReal) assert.ok(way === 'tcp' ? refused >= 4 : early >= 4);
      return stopped;
    };

    const fromLibrary: Run = async (sub, way, isHasty) => {
      const inputTimeMs = isHasty ? limitMs / 2 : 240_000;
      const feeds = new Map<string, (text: string) => void>();
      const ends: Promise<string>[] = [];
      const names = Object.keys(stories);
      // All of them first: the time of a text begins with its command.
      const sessions = await Promise.all(names.map(() => connect({ ...placeOf(lab, way), inputTimeMs })));
      for (const [at, session] of sessions.entries()) {
        const { input, feed } = openFeed();
        feed(lead);
        feeds.set(names[at] ?? '', feed);
        ends.push(save(session, input));
      }
      // All are sent by this process: it has to come to the short ones too before the servers are stopped.
      const feedAll = (which: 'before' | 'after'): void => {
        for (const [name, feed] of feeds) feed(stories[name]?.[which] ?? '');
      };
      const stopped = await stall(lab, limitMs, feedAll, 400);
      const said = await Promise.all(ends);
      assert.deepEqual(await evilOf(lab), []);
      sub.diagnostic(`${stopped} stopped; ${said.join(', ')}`);
      assert.ok(!said.includes('saved'));
      const refused = said.filter((end) => end === 'input-command-like').length;
      if (way !== 'tcp') assert.equal(refused, 0);
      else if (stopped >= heldBy[way] && !isReal) assert.ok(refused >= 4);
      return stopped;
    };
    for (const [by, run] of Object.entries({
      'through the daemon': throughDaemon,
      'from the library': fromLibrary,
    }))
      for (const [way, isHasty] of [
        ['starttls', false],
        ['starttls', true],
        ['unix', false],
        ['tcp', false],
      ] as const)
        await t.test(
          `${by}, ${way}${isHasty ? ', whose own time is shorter' : ''}: nothing is carried out`,
          (sub) => patiently(isHasty ? 0 : heldBy[way], () => run(sub, way, isHasty)),
        );
  },
  (isReal ? 3 : 1) * labTestMs,
);

/** Sends, stops the servers for longer than they wait, sends more meanwhile, and waits until they are gone. Gives how many there were. */
async function stall(
  lab: Lab,
  limitMs: number,
  sendAll: (which: 'before' | 'after') => void,
  sendingMs = 50,
): Promise<number> {
  await sleep(200);
  sendAll('before');
  await sleep(sendingMs);
  const servers = serversOf(lab);
  for (const pid of servers) signal(pid, 'SIGSTOP');
  sendAll('after');
  await sleep(limitMs + moreMs);
  for (const pid of servers) signal(pid, 'SIGCONT');
  while (serversOf(lab).some((pid) => servers.includes(pid))) await sleep(50);
  return servers.length;
}

function placeOf(lab: Lab, way: Way): ConnectOptions {
  if (way === 'unix') return { socket: lab.unixPreauth };
  const tls = way === 'tcp' ? 'off' : 'starttls';
  const ca = readFileSync(lab.caFile, 'utf8');
  return { host: 'localhost', port: lab.port, ca, password: backendPassword, tls };
}

/** Gives how it ended, and closes the session. */
async function save(session: Session, input: CommandInput): Promise<string> {
  try {
    await session.run({ user: alice, name: 'save', input });
    return 'saved';
  } catch (fault) {
    if (fault instanceof SessionFault || fault instanceof CommandFailed) return fault.code;
    throw fault;
  } finally {
    await session.close();
  }
}

/** A text that never ends, and the hand that gives it out. */
function openFeed(): { input: AsyncIterable<string>; feed: (text: string) => void } {
  const texts: string[] = [];
  let wake: () => void = () => undefined;
  return {
    input: (async function* () {
      for (;;) {
        const text = texts.shift();
        if (text !== undefined) yield text;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    })(),
    feed(text) {
      texts.push(text);
      wake();
    },
  };
}

/** Enough for a text to be sent before its end is here. */
const lead = `Subject: x\r\n\r\n${'line of the text\r\n'.repeat(70_000)}`;

/** Servers with a text when they are stopped: in clear the floods of commands are refused before. */
const heldBy = { starttls: 6, unix: 6, tcp: 3 } as const;

/** A line that is a command from nearly every place in it. */
const trap = (name: string, first = 'words '): string => `${first}${'D'.repeat(9_000)}${command}${name}\r\n`;

/** What is sent just before the servers are stopped, and after that. */
const stories: Readonly<Record<string, { readonly before: string; readonly after: string }>> = {
  'within a line': { before: 'words ', after: `${command}Within\r\n${trap('WithinMore')}` },
  'among flags': { before: 'words DDD', after: `DDD${command}Flags\r\n` },
  'at a line end': { before: 'words\r\n', after: `${command}LineEnd\r\n${trap('LineEndMore')}` },
  'a flood of traps': { before: trap('Trap').repeat(2_000), after: trap('TrapMore').repeat(1_000) },
  'a flood of long lines': { before: trap('Long', 'y'.repeat(30_000)).repeat(500), after: trap('LongMore') },
  'a flood of commands': { before: `${command}Short\r\n`.repeat(200_000), after: `${command}ShortMore\r\n` },
};

/** Gives the instance a copy of its doveadm-server whose limit is smaller; false: it is not as expected. */
async function makeImpatient(lab: Lab, limitMs: number): Promise<boolean> {
  const root = lab.folder.slice(0, lab.folder.length - lab.inRoot(lab.folder).length);
  const program = readFileSync(join(root, '/usr/lib/dovecot/doveadm-server'));
  // mov edi, 300000: an argument of the call that starts the timer, on x86-64.
  const [wanted, given] = [realLimitMs, limitMs].map((ms) => {
    const bytes = Buffer.from([0xbf, 0, 0, 0, 0]);
    bytes.writeUInt32LE(ms, 1);
    return bytes;
  });
  if (wanted === undefined || given === undefined) return false;
  const at = program.indexOf(wanted);
  if (at < 0 || program.includes(wanted, at + 1)) return false;
  given.copy(program, at);
  const path = join(lab.folder, 'doveadm-server');
  // One that runs cannot be written to.
  rmSync(path, { force: true });
  writeFileSync(path, program, { mode: 0o755 });
  await lab.writeExtraConf(`${passwordSetting}service doveadm {\n  executable = ${lab.inRoot(path)}\n}\n`);
  return true;
}

/** Mailboxes that only a command in a text makes. */
async function evilOf(lab: Lab): Promise<string[]> {
  const { text } = await lab.doveadm(['mailbox', 'list', '-u', bob]);
  return text.split('\n').filter((name) => name.startsWith('Evil'));
}
