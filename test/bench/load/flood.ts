// `flood.js SOCKET SESSIONS LINEFILE`: sessions that send one line as fast as the server takes it, and never wait for an answer. A session
// that is closed is opened again. Answers are counted; at SIGTERM their number goes to stdout. A process of its own, as a hostile client is.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const [path = '', sessions = '1', file = ''] = process.argv.slice(2);
const line = readFileSync(file);
/** Several at once, where they are short. */
const batch = Buffer.concat(
  Array.from({ length: Math.max(1, Math.floor(65_536 / line.length)) }, () => line),
);
let answers = 0;
let reopened = 0;

function open(): void {
  const socket = connect(path);
  const send = (): void => {
    while (socket.writable && socket.write(batch));
  };
  socket.on('connect', () => {
    socket.write('VERSION\tdoveadm-server\t1\t0\n');
    send();
  });
  socket.on('drain', send);
  socket.on('data', (chunk: Buffer) => {
    // An answer is an empty line and its status.
    for (const byte of chunk) if (byte === 0x0a) answers += 0.5;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    reopened += 1;
    setTimeout(open, 10);
  });
}

for (let count = 0; count < Number(sessions); count += 1) open();
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ answers: Math.round(answers), reopened })}\n`, () =>
    process.exit(0),
  );
});
