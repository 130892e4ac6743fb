// What somebody would try who runs code as the page or as ship: a program that is put in the place of the unit's own.
import * as z from 'zod';

const shape = z.object({
  readable: z.array(z.string()),
  writable: z.array(z.string()),
  reached: z.array(z.string()),
  processes: z.array(z.string()),
  backend: z.string(),
  /** The status of each try at the door. */
  door: z.record(z.string(), z.number()),
  /** What the door answered first. */
  answer: z.string(),
});

export interface Intruder {
  readonly door: string;
  /** Lines of what the door says first. */
  readonly lines: number;
  /** Makes, by `call`: `answer`; `first`, what is known of the door by then; `more`: names of tries, and what each asks of the door. */
  readonly tries: string;
}

/** Paths come in a file; what worked goes to stdout, as one line of JSON. */
export const intruder = ({ door, lines, tries }: Intruder): string => `
import { closeSync, constants, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
const { files, folders, sockets } = JSON.parse(readFileSync('/mnt/test/paths.json', 'utf8'));
const works = (run) => { try { run(); return true; } catch { return false; } };
const readable = files.filter((path) => works(() => closeSync(openSync(path, 'r'))));
const writable = [
  ...files.filter((path) => works(() => closeSync(openSync(path, constants.O_WRONLY)))),
  ...folders.filter((path) => works(() => { writeFileSync(path + '/probe', ''); rmSync(path + '/probe'); })),
];
const said = (path, text) => new Promise((resolve) => {
  const client = connect(path);
  let answer = '';
  client.on('connect', () => client.write(text)).on('data', (data) => { answer += data; });
  client.on('error', (error) => resolve(error.code)).on('close', () => resolve(answer));
  client.setTimeout(2000, () => { client.destroy(); });
});
const reached = [];
for (const path of sockets) if (!/^E/.test(await said(path, ''))) reached.push(path);
const others = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid);
const processes = others.filter((name) => ['environ', 'mem'].some((file) => works(() => readFileSync('/proc/' + name + '/' + file))));
const backend = await said('/mnt/test/backend.sock', 'VERSION\\tdoveadm-server\\t1\\t2\\n\\talice@example.com\\tquota\\tget\\n');
const headers = { Host: 'localhost', 'dovegate-door': '1' };
const call = (method, path, body) => new Promise((resolve, reject) => {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const asked = request({ socketPath: '${door}', method, path, headers: text === undefined ? headers : { ...headers, 'Content-Length': Buffer.byteLength(text) } });
  asked.on('error', reject).on('response', (response) => {
    let all = '';
    const done = () => { resolve({ status: response.statusCode, all }); response.destroy(); };
    response.setEncoding('utf8').on('data', (piece) => { all += piece; if (all.split('\\n').length > ${lines}) done(); });
    response.on('end', done);
  });
  asked.end(text);
});
${tries}
const tries = {
  ...more,
  'admin: status': ['GET', '/status.json'],
  'admin: reload': ['POST', '/reload'],
  'admin: kill': ['POST', '/kill/01ARZ3NDEKTSV4RRFFQ69G5FAV'],
  'a command': ['POST', '/command', ['quotaGet', { user: 'alice@example.com' }, 't']],
};
const doors = { ...first };
for (const [name, asked] of Object.entries(tries)) doors[name] = (await call(...asked)).status;
console.log(JSON.stringify({ readable, writable, reached, processes, backend, door: doors, answer }));
process.exit(0);
`;

/** What it found: of the journal of its unit. */
export const readFound = (text: string) => shape.parse(JSON.parse(/^\{.*\}$/m.exec(text)?.[0] ?? text));
