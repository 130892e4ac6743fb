// `npm run demo`: the main job at work on this machine alone. Two scripted Dovecots behind STARTTLS and PLAIN, the built daemon
// in front of them, a few commands from two teams, and the audit trail that they left. Ends by itself with exit code 0;
// with --keep it stays up for playing until Ctrl-C.

import { startDaemon } from '../../test/kit/daemon.js';
import { openRawClient } from '../../test/kit/raw-client.js';
import { openBackends } from './backends.js';
import { configuration } from './configuration.js';
import { showCommand, showRecord, title } from './show.js';

interface Step {
  readonly team: 'support' | 'billing';
  readonly user: string;
  /** Words of the command line. */
  readonly command: readonly string[];
  /** Cells of a row, for printing. */
  readonly columns: number;
  readonly why: string;
}

const steps: readonly Step[] = [
  {
    team: 'support',
    user: 'alice@example.com',
    command: ['quota', 'get'],
    columns: 5,
    why: 'allowed, goes to mail1',
  },
  {
    team: 'support',
    user: 'bob@example.net',
    command: ['mailbox', 'list'],
    columns: 1,
    why: 'another domain, goes to mail2',
  },
  {
    team: 'support',
    user: 'alice@example.com',
    command: ['fetch', 'uid flags', 'mailbox', 'INBOX', 'all'],
    columns: 2,
    why: 'allowed; the backend also writes to its log channel',
  },
  {
    team: 'support',
    user: 'nouser@example.com',
    command: ['quota', 'get'],
    columns: 5,
    why: 'allowed, but Dovecot knows no such user',
  },
  {
    team: 'billing',
    user: 'alice@example.com',
    command: ['quota', 'get'],
    columns: 5,
    why: 'the same backend connection serves both teams',
  },
  {
    team: 'billing',
    user: 'alice@example.com',
    command: ['fetch', 'text', 'all'],
    columns: 1,
    why: 'billing may not read mail',
  },
  {
    team: 'support',
    user: 'ceo@example.com',
    command: ['quota', 'get'],
    columns: 5,
    why: 'excepted by the policy',
  },
  {
    team: 'support',
    user: 'alice@example.com',
    command: ['mailbox', 'list', '-F', '/etc/passwd'],
    columns: 1,
    why: 'Dovecot would open that file as root',
  },
  {
    team: 'support',
    user: 'alice@example.com',
    command: ['quota', 'get', '--all'],
    columns: 5,
    why: 'Dovecot would take it for --all-users',
  },
];

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

async function demo(keep: boolean): Promise<void> {
  const owner = createOwner();
  try {
    title('Two Dovecots (scripted), STARTTLS and PLAIN, certificates made a moment ago');
    const backends = await openBackends();
    owner.after(() => backends.close());
    const daemon = await startDaemon(owner, {
      config: configuration(backends.mail1.address, backends.mail2.address),
      files: { 'ca.pem': backends.authority, 'mail.password': `${backends.password}\n` },
    });
    console.log(`mail1 at ${backends.mail1.address}, mail2 at ${backends.mail2.address}`);
    console.log(`dovegate is process ${daemon.pid}, its configuration ${daemon.configFile}`);

    title('Commands of two teams, each over its own socket');
    for (const step of steps) {
      const client = await openRawClient({ path: daemon.path(`${step.team}.sock`), minor: 2 });
      client.sendCommand({ user: step.user, fields: step.command });
      showCommand(step, await client.readReply());
      client.close();
    }
    const handshakes = backends.mail1.tlsHandshakes + backends.mail2.tlsHandshakes;
    const reached = backends.mail1.commands.length + backends.mail2.commands.length;
    console.log(
      `\n${steps.length} commands from ${steps.length} clients; ${reached} reached a backend, over ${handshakes} TLS connections.`,
    );

    title('What the backends said on their log channel, as structured logs tied to the command');
    const isBackendLog = (record: Readonly<Record<string, unknown>>): boolean =>
      record['event'] === 'backend-log';
    await daemon.waitForLog(isBackendLog, 'a log line of a backend');
    for (const record of daemon.logs.filter(isBackendLog)) console.log(JSON.stringify(record));

    if (keep) await play(daemon.path('support.sock'), daemon.path('billing.sock'), daemon.configFile);
    const exit = await daemon.stop();
    title('The audit trail');
    for (const { record } of daemon.audit()) showRecord(record);
    if (exit.code !== 0) throw new Error(`the daemon ended with ${exit.code ?? exit.signal}`);
    title('What to try next');
    console.log(`npm run demo -- --keep     the same, and it stays up for playing
npm test                   everything that is tested, also on a real Dovecot
README.md                  how to put it in front of a mail server`);
  } finally {
    await owner.end();
  }
}

/** Stays up until Ctrl-C. */
function play(support: string, billing: string, configFile: string): Promise<void> {
  title('Play: it stays up until Ctrl-C');
  console.log(`doveadm quota get -u alice@example.com -S ${support}
doveadm fetch -u alice@example.com -S ${billing} text all            (denied)
printf 'VERSION\\tdoveadm-server\\t1\\t0\\n\\talice@example.com\\tquota get\\n' | nc -U -N ${support}
node dist/main.js check --verbose --config ${configFile}`);
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

try {
  await demo(process.argv.includes('--keep'));
} catch (fault) {
  console.error(fault instanceof Error ? (fault.stack ?? fault.message) : String(fault));
  process.exitCode = 1;
}
