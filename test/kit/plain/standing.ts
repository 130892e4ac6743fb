// Somebody else on this host: a process with the uid, the login uid or the user namespace of another human, and all that goes through it
// comes from there, by the word of the kernel. The host's files stay as they are: whoever starts by the launcher sees others.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder, type Owner, removeAfter } from './folder.js';

/** Of each range. */
export const rangeUids = 65_536;

export interface HostUser {
  readonly name: string;
  readonly uid: number;
  /** The first of their subordinate uids. */
  readonly range?: number;
}

/** Starts a program where /etc/passwd and /etc/subuid know these users. Needs root. */
export function launcherWith(owner: Owner, users: readonly HostUser[]): readonly string[] {
  const folder = makeFolder();
  removeAfter(owner, folder);
  chmodSync(folder, 0o711);
  const [passwd, subuid] = [join(folder, 'passwd'), join(folder, 'subuid')];
  const lines = users.map(({ name, uid }) => `${name}:x:${uid}:${uid}::/:/bin/sh\n`).join('');
  writeFileSync(passwd, `${readFileSync('/etc/passwd', 'utf8')}${lines}`, { mode: 0o644 });
  const ranges = users.flatMap(({ name, range }) =>
    range === undefined ? [] : `${name}:${range}:${rangeUids}\n`,
  );
  writeFileSync(subuid, ranges.join(''), { mode: 0o644 });
  const mounts = `mount --bind ${passwd} /etc/passwd; mount --bind ${subuid} /etc/subuid`;
  return ['unshare', '--mount', 'sh', '-ec', `${mounts}; exec "$@"`, 'sh'];
}

export interface Standing {
  /** Undefined: as root. */
  readonly uid?: number;
  /** Undefined: of no login. */
  readonly loginUid?: number;
  /** In a user namespace and a pid namespace of `uid` with these subordinate uids: as its root, or as the first of them. */
  readonly container?: { readonly range: number; readonly isRoot: boolean };
}

/** Each connection to the first path goes on to the second one, from here. It ends with its stdin. */
const relay = `
const net = require('node:net');
const { pairs, uid } = JSON.parse(process.argv[1]);
process.stdin.resume().on('end', () => process.exit());
if (uid !== undefined) process.seteuid(uid);
let left = pairs.length;
for (const [here, there] of pairs)
  net.createServer({ allowHalfOpen: true }, (socket) => {
    const on = net.connect({ path: there, allowHalfOpen: true });
    for (const [one, other] of [[socket, on], [on, socket]])
      one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other);
  }).listen(here, () => {
    left -= 1;
    if (left === 0) process.stdout.write('ready');
  });
`;

/** The paths that lead to `sockets` from there; by their order. */
export async function standAs(
  owner: Owner,
  { uid, loginUid, container }: Standing,
  sockets: readonly string[],
): Promise<readonly string[]> {
  const folder = makeFolder();
  removeAfter(owner, folder);
  const place = join(folder, 'in');
  mkdirSync(place);
  for (const each of [folder, place]) chmodSync(each, 0o777);
  const paths = sockets.map((_, at) => join(place, `${at}.sock`));
  const pairs = sockets.map((there, at) => [paths[at], there]);
  const speaks = [process.execPath, '-e', relay];
  const told = JSON.stringify({ pairs, ...(container?.isRoot === false && { uid: 1 }) });
  const become =
    uid === undefined ? [] : ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups', '--'];
  const logs = loginUid === undefined ? '' : `echo ${loginUid} > /proc/self/loginuid; `;
  const inside = `
mkfifo -m 0666 ${folder}/go
exec 3<&0
"$@" <&3 &
pid=$!
exec 4> ${folder}/go
while [ "$(readlink /proc/$pid/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
printf '0 ${uid} 1\\n1 ${container?.range} ${rangeUids - 1}\\n' > /proc/$pid/uid_map
echo go >&4
wait $pid`;
  const unshared = [
    'unshare',
    '--user',
    '--pid',
    '--fork',
    '--kill-child',
    'sh',
    '-c',
    `read go < ${folder}/go; exec "$@"`,
    'sh',
  ];
  const command =
    container === undefined
      ? ['-ec', `${logs}exec "$@"`, 'sh', ...become, ...speaks, told]
      : ['-ec', `${logs}${inside}`, 'sh', ...become, ...unshared, ...speaks, told];
  const child = spawn('sh', command, { cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
  owner.after(() => {
    child.stdin.end();
  });
  const said = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
    child.once('close', (code) => reject(new Error(`it ended with ${code}`)));
  });
  if (said !== 'ready') throw new Error(said);
  return paths;
}
