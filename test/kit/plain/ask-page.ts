// Asks at the socket of the page as somebody: a POST for each request, one after the other, by a program under another uid.
import { runProgram } from './program.js';

/** A path, and the body as it is sent. */
export type PageRequest = readonly [path: string, body: string, method?: string];

export interface PageAnswer {
  readonly status: number;
  readonly body: string;
}

/** Written for Node alone, since who runs it may read nothing else. */
const speaker = `
const { request } = require('node:http');
const [socketPath, loginUid] = process.argv.slice(1);
if (loginUid) require('node:fs').writeFileSync('/proc/self/loginuid', loginUid);
const ask = ([path, body, method = 'POST']) => new Promise((resolve) => {
  const asked = request({ socketPath, path, method, agent: false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (piece) => { text += piece; });
    response.on('end', () => resolve({ status: response.statusCode, body: text }));
  });
  asked.on('error', (fault) => resolve({ status: 0, body: String(fault) }));
  asked.end(body);
});
let text = '';
process.stdin.setEncoding('utf8').on('data', (piece) => { text += piece; }).on('end', async () => {
  const answers = [];
  for (const each of JSON.parse(text)) answers.push(await ask(each));
  process.stdout.write(JSON.stringify(answers));
});
`;

/** `uid` undefined: as ourselves; another one needs root. `loginUid`: of a process that has no login yet. */
export async function askPageAs(
  uid: number | undefined,
  socket: string,
  requests: readonly PageRequest[],
  loginUid?: number,
): Promise<readonly PageAnswer[]> {
  const who = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--'];
  const before = uid === undefined ? [] : [...who, process.execPath];
  const file = uid === undefined ? process.execPath : 'setpriv';
  const login = loginUid === undefined ? [] : [String(loginUid)];
  const args = [...before, '-e', speaker, socket, ...login];
  const { stdout, text, exit } = await runProgram(file, args, {
    stdin: JSON.stringify(requests),
    cwd: '/',
    timeoutMs: 300_000,
  });
  if (exit !== 0) throw new Error(`somebody as uid ${uid} ended with ${exit}: ${text}`);
  const answers: readonly PageAnswer[] = JSON.parse(stdout.toString());
  return answers;
}
