// `npm run bench -- reload [MIB]`: how long a client waits while a configuration of so many MiB (default 2) is reloaded. One client sends
// one command after the other, which is denied, so that no backend takes part; prints its longest waits without and during three reloads,
// and how long each reload took. The waits without one show what else the machine does.
import { setTimeout as sleep } from 'node:timers/promises';
import { startDaemon } from '../kit/daemon.js';
import { openRawClient } from '../kit/raw-client.js';

const mebibytes = Number(process.argv[2] ?? 2);

function configurationOf(comment: string): string {
  let text = `version: 1
mail_users: { default_realm: example.com }
listeners: { support: { unix: support.sock, mode: "0600", policy: team0 } }
backends: { mail1: { address: "unix:nowhere.sock", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
audit: { directory: audit, strict: [] }
state: state
policies:
`;
  for (let team = 0; text.length < mebibytes * 1024 ** 2; team += 1) {
    text += `  team${team}: # ${comment}\n    users: ["*@example.com"]\n    allow:\n`;
    for (let rule = 0; rule < 150; rule += 1) {
      text += `      - command: mailbox create\n        where: { mailbox: ["team${team}-${rule}/*", "Archive/${rule}"] }\n`;
      text += `        users: ["user${team}-${rule}@example.com", "other${rule}@example.com"]\n`;
    }
  }
  return text;
}

const ends: (() => void | Promise<void>)[] = [];
const owner = { after: (end: () => void | Promise<void>) => void ends.unshift(end) };
const daemon = await startDaemon(owner, { config: configurationOf('first'), startMs: 120_000 });
try {
  const client = await openRawClient({ path: daemon.path('support.sock'), minor: 2 });
  /** Milliseconds, the longest first. */
  const waits = async (until: Promise<unknown>): Promise<string> => {
    const found: number[] = [];
    const over = until.then(() => true);
    while (!(await Promise.race([over, sleep(1).then(() => false)]))) {
      const start = performance.now();
      client.send('\tanna@example.com\tquota get');
      await client.readReply();
      found.push(performance.now() - start);
    }
    const longest = found.toSorted((one, other) => other - one).slice(0, 5);
    return `${found.length} commands; longest waits ${longest.map((ms) => ms.toFixed(1)).join(' ')} ms`;
  };
  console.log(`alone:         ${await waits(sleep(5_000))}`);
  for (const round of [1, 2, 3]) {
    daemon.write('dovegate.yaml', configurationOf(`round ${round}`));
    const count = (): number => daemon.logs.filter(({ event }) => event === 'reloaded').length;
    const start = performance.now();
    daemon.signal('SIGHUP');
    const reloaded = daemon.waitForLog(() => count() >= round, 'a reload', 120_000);
    const found = await waits(reloaded);
    console.log(`during reload: ${found}; reloaded in ${Math.round(performance.now() - start)} ms`);
  }
} finally {
  await daemon.stop();
  for (const end of ends) await end();
}
