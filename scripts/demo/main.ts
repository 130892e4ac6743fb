// `npm run demo`: the main job on this machine alone, as its people see it. Two scripted Dovecots behind STARTTLS and PLAIN, the
// built daemon in front of them, a team, a person who approves, and the journal that all of it leaves. Ends by itself with exit
// code 0; with --keep it stays up for playing until Ctrl-C.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { foldStory } from '../../src/evidence/story/fold.js';
import { rightWords } from '../../src/evidence/story/words.js';
import { hashKey, keyBytes, makeKey } from '../../src/rules/keys/key.js';
import { builtProgram, type Daemon, startDaemon, startPage } from '../../test/kit/gate/daemon.js';
import type { Owner } from '../../test/kit/plain/folder.js';
import { freePorts } from '../../test/kit/plain/free-ports.js';
import { runProgram } from '../../test/kit/plain/program.js';
import { openRawClient } from '../../test/kit/plain/raw-client.js';
import { openBackends } from './backends.js';
import { configuration } from './configuration.js';
import { remark, showCommand, showTyped, title } from './show.js';

/** Collects what is to be undone, as a test's context does. */
function createOwner(): { after(run: () => void | Promise<void>): void; end(): Promise<void> } {
  const runs: (() => void | Promise<void>)[] = [];
  return {
    after: (run) => void runs.push(run),
    async end() {
      for (const run of runs) await run();
    },
  };
}

/** Runs `dovegate VERB ...` in the folder of the demo, and shows it as WHO types it. */
type Say = (who: string, wanted: number, verb: string, ...args: readonly string[]) => Promise<string>;

async function demo(keep: boolean): Promise<void> {
  const owner = createOwner();
  try {
    const backends = await openBackends();
    owner.after(() => backends.close());
    const key = makeKey(randomBytes(keyBytes));
    const [port = 0, pagePort = 0] = await freePorts(2);
    const daemon = await startDaemon(owner, {
      config: configuration(backends.mail1.address, backends.mail2.address, port, pagePort, hashKey(key)),
      files: {
        'ca.pem': backends.authority,
        'gate.crt': backends.certificate.certificatePem,
        'gate.key': backends.certificate.keyPem,
        'mail.password': `${backends.password}\n`,
        'carol.key': key,
      },
    });
    const say: Say = async (who, wanted, verb, ...args) => {
      const { text, exit } = await runProgram(process.execPath, [builtProgram, verb, ...args], {
        cwd: daemon.folder,
        env: { DOVEADM_SOCKET: daemon.path('support.sock'), DOVEGATE_CONFIG: daemon.configFile },
      });
      // Of an answer about a request or a grant, its first sentence.
      const shown = /^(?:request|approve)$/.test(verb) ? text.split('\n', 1).join('') : text;
      showCommand(who, [verb, ...args], shown.replaceAll(`${daemon.folder}/`, ''), exit);
      assert.equal(exit, wanted, `dovegate ${verb} ended with ${exit}`);
      return text;
    };
    const reached = (): number => backends.mail1.commands.length + backends.mail2.commands.length;

    await showCommands(say, daemon);
    remark(`${reached()} of these 4 reached a Dovecot, each after its audit record`);
    await showAccess(say, daemon, port);
    if (keep) await play(owner, daemon, pagePort);
    const exit = await daemon.stop();
    if (exit.code !== 0) throw new Error(`the daemon ended with ${exit.code ?? exit.signal}`);
    await showTrail(say, daemon);
    console.log(`
Try next:
  npm run demo -- --keep                  the same, and it stays up: type commands of your own, look in a browser
  npm run package -- --only deb           a package for Debian and Ubuntu; then: dovegate init
  less docs/README.md                     the documents, by what you want to do`);
  } finally {
    await owner.end();
  }
}

async function showCommands(say: Say, daemon: Daemon): Promise<void> {
  title('A team sends commands; its policy decides');
  const send = (user: string, wanted: number, ...command: readonly string[]): Promise<string> =>
    say('support', wanted, 'send', '--user', user, '--', ...command);
  await send('alice@example.com', 0, 'quota', 'get');
  showRecord(daemon);
  await send('bob@example.net', 0, 'mailbox', 'list');
  showRecord(daemon);
  await send('alice@example.com', 77, 'expunge', 'mailbox', 'INBOX', 'all');
  showRecord(daemon);
  // By hand, past the checks of our own client. Dovecot would take the option for --all-users.
  const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  client.sendCommand({ user: 'alice@example.com', fields: ['quota', 'get', '--all'] });
  const { logs, status } = await client.readReply();
  client.close();
  const text = [...logs.map((log) => log.text), status].join('\n');
  showTyped('support', "printf '\\talice@example.com\\tquota get\\t--all\\n' | nc -U support.sock", text, 1);
  showRecord(daemon);
}

async function showAccess(say: Say, daemon: Daemon, port: number): Promise<void> {
  title('Reading mail is on request: another person approves it');
  const words = [
    '--user',
    'alice@example.com',
    '--',
    'fetch',
    'text',
    'mailbox',
    'INBOX',
    'subject',
    'invoice',
  ];
  const carol = ['--http', `https://localhost:${port}`, '--ca', 'ca.pem', '--key-file', 'carol.key'];
  const asked = await say('support', 0, 'request', '--reason', 'ticket 4711', ...words);
  const id = /\b[0-9A-HJKMNP-TV-Z]{26}\b/.exec(asked)?.[0] ?? '';
  await say('carol', 0, 'approve', ...carol, id);
  await say('support', 0, 'send', ...words);
  showRecord(daemon);
}

async function showTrail(say: Say, daemon: Daemon): Promise<void> {
  title('The journal: chained and signed; a changed record is found');
  // A copy that is kept elsewhere, as the documents advise.
  cpSync(daemon.path('audit/key.pub'), daemon.path('key.pub'));
  await say('root', 0, 'audit', 'verify', '--key', 'key.pub', 'audit');
  cpSync(daemon.path('audit'), daemon.path('forged'), { recursive: true });
  const name = readdirSync(daemon.path('forged')).find((each) => each.endsWith('.jsonl')) ?? '';
  const path = join(daemon.path('forged'), name);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"outcome":"denied"', '"outcome":"ok"'));
  remark('in a copy, a denied command is made to look as if it had been served');
  await say('root', 1, 'audit', 'verify', '--key', 'key.pub', 'forged');
}

/** What the journal says of the newest command, in the words of `dovegate audit show`. */
function showRecord(daemon: Daemon): void {
  const records = daemon.audit().map(({ record }) => record);
  const last = records.findLast(({ event }) => event === 'completion');
  const { decided, ended, sent } = foldStory(records, String(last?.['id']));
  const seq = `record ${String(last?.['seq'])}`;
  if (sent === 'no') remark(`${seq}: ${ended.outcome}, never sent`, 'yellow');
  else {
    const right = rightWords(decided).replace(`${daemon.folder}/`, '');
    const took = Math.ceil(Number(last?.['duration_ms']));
    remark(`${seq}: allowed by ${right}; ${String(last?.['backend'])} said ${ended.outcome}, ${took} ms`);
  }
}

/** Starts the page, too, and stays up until Ctrl-C. */
async function play(owner: Owner, daemon: Daemon, pagePort: number): Promise<void> {
  await startPage(owner, daemon);
  title('It stays up until Ctrl-C. In another terminal:');
  const program = `node ${builtProgram}`;
  console.log(`  cd ${daemon.folder} && export DOVEADM_SOCKET=$PWD/support.sock
  ${program} can                                             what the team may do
  ${program} send --user alice@example.com -- quota get      or doveadm quota get -u alice@example.com -S $DOVEADM_SOCKET
  ${program} page open --config dovegate.yaml                a link to the page, at 127.0.0.1:${pagePort}`);
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      // Those of the kit would kill the daemon, which is to end by itself.
      process.removeAllListeners(signal);
      process.once(signal, () => resolve());
    }
  });
}

try {
  await demo(process.argv.includes('--keep'));
} catch (fault) {
  console.error(fault instanceof Error ? (fault.stack ?? fault.message) : String(fault));
  process.exitCode = 1;
}
