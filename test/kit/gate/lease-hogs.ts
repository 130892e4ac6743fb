// Clients that hold an upstream up, in the ways that were seen, and a scripted backend's answers for them. It imports nothing from src/.
import net from 'node:net';
import type { Owner } from '../plain/folder.js';
import type { Script } from './script.js';

/** What a client does. */
const hogKinds = {
  'reads nothing': { readBytes: 0, sendBytes: 0, isSave: false },
  'reads 8 KB/s': { readBytes: 8_000, sendBytes: 0, isSave: false },
  'reads 32 KB/s': { readBytes: 32_000, sendBytes: 0, isSave: false },
  'save stops after 1.25 MB': { readBytes: 0, sendBytes: 0, isSave: true },
  'save goes on with 8 KB/s': { readBytes: 0, sendBytes: 8_000, isSave: true },
  'reads 90 KB/s': { readBytes: 90_000, sendBytes: 0, isSave: false },
  'save goes on with 100 KB/s': { readBytes: 0, sendBytes: 100_000, isSave: true },
  'reads 400 KB/s': { readBytes: 400_000, sendBytes: 0, isSave: false },
  'save goes on with 400 KB/s': { readBytes: 0, sendBytes: 400_000, isSave: true },
} as const;
export type HogKind = keyof typeof hogKinds;

/**
 * The reply to what hogs read is one cell, and never comes to its end with them: wherever it is cut, nothing behind it can be told apart,
 * so that the session ends.
 */
const replyBytes = 4 * 1024 * 1024 * 1024;
const leadBytes = 1_250_000;
const stepMs = 50;
const saveLine = '\talice@example.org\tsave\n';
const fetchLine = '\talice@example.org\tfetch\ttext\tall\n';

/** The backend: a long reply to `fetch`, a text taken to its end for `save`, `+` for everything else. */
const answerHogs: Script = async ({ fields }, connection) => {
  if (fields[0] === 'save') await connection.readInput();
  if (fields[0] === 'fetch') await connection.bigCell(replyBytes);
  await connection.status('+');
};

/** A gateway with one principal for them, and one for their victims. */
export const hogGateway = {
  listeners: `
  hogs: { unix: hogs.sock, mode: "0600", policy: support }
  victims: { unix: victims.sock, mode: "0600", policy: support }`,
  policy: `
    users: ["*@example.org"]
    allow: [quota get, { command: fetch, content: true }, save]`,
  backend: { script: answerHogs },
};

interface Hog {
  /** Its session was ended by the other side. */
  readonly isEnded: boolean;
}

/** A client of that kind at that socket, until the owner ends. */
export function openHog(owner: Owner, path: string, kind: HogKind): Hog {
  const { readBytes, sendBytes, isSave } = hogKinds[kind];
  let isEnded = false;
  const socket = net.connect(path);
  socket.on('error', () => undefined);
  socket.write('VERSION\tdoveadm-server\t1\t0\n');
  let isGreeted = false;
  let said = '';
  const onGreeting = (): void => {
    said += String(socket.read() ?? '');
    if (!said.endsWith('+\n')) return;
    isGreeted = true;
    socket.off('readable', onGreeting);
    socket.on('readable', () => undefined);
    socket.write(isSave ? saveLine + textOf(leadBytes) : fetchLine);
  };
  socket.on('readable', onGreeting);
  let budget = 0;
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    // On a busy machine timers are late, and the rate is kept all the same.
    const seconds = (performance.now() - beforeMs) / 1000;
    beforeMs += seconds * 1000;
    // One that waits for its upstream is not read, and must not fill the memory here.
    if (isGreeted && sendBytes > 0 && socket.writableLength < leadBytes)
      socket.write(textOf(sendBytes * seconds));
    // A save may be answered, which is how its end shows.
    budget = isSave ? Number.POSITIVE_INFINITY : budget + readBytes * seconds;
    // The greeting has a reader of its own.
    if (!isGreeted) budget = 0;
    while (budget >= 1) {
      const bytes: unknown = socket.read(Math.min(socket.readableLength, Math.floor(budget)) || 1);
      if (!Buffer.isBuffer(bytes)) break;
      budget -= bytes.length;
    }
  }, stepMs);
  socket.once('close', () => {
    clearInterval(timer);
    isEnded = true;
  });
  // Its end shows only to one that reads; a write that fails shows it too.
  socket.once('end', () => socket.destroy());
  owner.after(() => void socket.destroy());
  return {
    get isEnded() {
      return isEnded;
    },
  };
}

function textOf(bytes: number): string {
  const line = 'a line of a mail that has no dot\n';
  return line.repeat(Math.ceil(bytes / line.length));
}
