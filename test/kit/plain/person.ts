// Somebody else: a program under another uid and other groups that speaks to a socket. Only root can be somebody else; nothing of the
// machine's accounts is changed, since uids and groups need no name to be used.
import { spawn } from 'node:child_process';

export interface Person {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** What they got to hear: a status line for each command; `closed` instead of those that never came. */
export type Heard = readonly string[];

/** Written for Node alone, since who runs it may read nothing else. Minor 0: replies come as they are, rows and then a status. */
const speaker = `
const [path, ...commands] = process.argv.slice(1);
const socket = require('node:net').connect(path);
let text = '';
const heard = [];
const say = () => { process.stdout.write(JSON.stringify(heard)); process.exit(); };
socket.on('error', () => undefined);
socket.on('close', () => { while (heard.length < commands.length) heard.push('closed'); say(); });
socket.on('connect', () => socket.write('VERSION\\tdoveadm-server\\t1\\t0\\n'));
let isGreeted = false;
socket.on('data', (chunk) => {
  text += chunk;
  if (!isGreeted) {
    if (!text.includes('+\\n')) return;
    isGreeted = true;
    text = '';
    socket.write(commands[0].replaceAll('|', '\\t') + '\\n');
    return;
  }
  const status = /(?:^|\\n)([+-][A-Z]*)\\n$/.exec(text)?.[1];
  if (status === undefined) return;
  heard.push(status);
  text = '';
  const next = commands[heard.length];
  if (next === undefined) say();
  else socket.write(next.replaceAll('|', '\\t') + '\\n');
});
`;

/** Sends command lines (`|` for TAB) as this person, one after the other. `login`: the login uid that its process sets itself. */
export function speakAs(
  person: Person,
  path: string,
  commands: readonly string[],
  login?: number,
): Promise<Heard> {
  const { uid, gid, groups } = person;
  const who = ['--reuid', String(uid), '--regid', String(gid)];
  const among = groups.length === 0 ? ['--clear-groups'] : ['--groups', groups.join(',')];
  const command = ['setpriv', ...who, ...among, '--', process.execPath, '-e', speaker, path, ...commands];
  const logs = login === undefined ? '' : `echo ${login} > /proc/self/loginuid; `;
  const child = spawn('sh', ['-ec', `${logs}exec "$@"`, 'sh', ...command], {
    cwd: '/',
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(said));
      else reject(new Error(`somebody as uid ${uid} ended with ${code}: ${said}`));
    });
  });
}
