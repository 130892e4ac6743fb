// Plays the client's side of recorded sessions to a real server, and compares its answers in meaning with what was recorded.
import net from 'node:net';
import tls from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { expectOf, heardIn, plays } from './sessions.mjs';
import { createServerReader, progressOf } from './wire.mjs';

/** How long nothing may come before nothing more is expected of a server that keeps its connection. */
const quietMs = 150;

/** One connection to the server, and everything that was heard on it. */
async function open(target, minor, deadline) {
  const reader = createServerReader(minor);
  let fault;
  let wake = () => {};
  let lastAt = Date.now();
  let socket;
  const listen = (to) => {
    socket = to;
    to.on('data', (bytes) => {
      lastAt = Date.now();
      try {
        reader.push(bytes);
      } catch (error) {
        fault = error;
      }
      wake();
    });
    to.on('end', () => {
      reader.end();
      wake();
    });
    to.on('error', (error) => {
      // If the server's process crashes, the kernel may reset the connection. The bytes before the reset count.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') reader.end();
      else fault = error;
      wake();
    });
  };
  const secure = (under) => {
    const { ca, host } = target;
    const name = host !== undefined && net.isIP(host) === 0 ? { servername: host } : {};
    const settings = ca === undefined ? { rejectUnauthorized: false } : { ca, host: host ?? 'localhost' };
    return tls.connect({ socket: under, ...settings, ...name });
  };
  const until = async (isDone, what) => {
    for (;;) {
      if (fault !== undefined) throw fault;
      if (isDone()) return;
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`timed out: ${what}`);
      // `isDone` may ask for the time.
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, quietMs));
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  };
  const plain = net.connect({ ...target.address, allowHalfOpen: true });
  const ready = (from, event) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`timed out: no ${event}`)),
        Math.max(1, deadline - Date.now()),
      );
      const settle = (then) => (value) => {
        clearTimeout(timer);
        then(value);
      };
      from.once(event, settle(resolve));
      from.once('error', settle(reject));
    });
  const close = () => {
    // Ignore errors after the connection has ended.
    plain.on('error', () => {});
    plain.destroy();
  };
  try {
    await ready(plain, 'connect');
    if (target.tls) {
      const secured = secure(plain);
      await ready(secured, 'secureConnect');
      listen(secured);
    } else listen(plain);
  } catch (error) {
    close();
    throw error;
  }
  return {
    heard: reader.heard,
    write: (bytes) => socket.writable && socket.write(bytes),
    endWrites: () => socket.end(),
    until,
    isQuiet: () => Date.now() - lastAt >= quietMs,
    async startTls() {
      plain.removeAllListeners('data');
      plain.removeAllListeners('end');
      const secured = secure(plain);
      await ready(secured, 'secureConnect');
      listen(secured);
    },
    close,
  };
}

/** What a server says of itself: its minor, and whether it asks for a password. */
export async function probe(target, timeoutMs) {
  const connection = await open(target, 1, Date.now() + timeoutMs);
  try {
    connection.write('VERSION\tdoveadm-server\t1\t1\n');
    const { heard } = connection;
    await connection.until(() => heard.handshake.length > 0 || heard.eof, 'no greeting');
    const [greeting] = heard.handshake;
    if (greeting !== '+' && greeting !== '-')
      throw new Error(`the greeting is ${JSON.stringify(greeting ?? 'EOF')}`);
    return { minor: heard.serverMinor ?? 0, greeting };
  } finally {
    connection.close();
  }
}

/** The recorded PLAIN lines with the password of the server; the ones that are wrong stay wrong. */
function withLogin(bytes, { user, password }) {
  if (password === undefined) return bytes;
  const text = bytes.toString('latin1');
  const changed = text.replaceAll(/^PLAIN\t([A-Za-z0-9+/]+=*)$/gm, (line, encoded) => {
    const parts = Buffer.from(encoded, 'base64').toString('latin1').split('\0');
    if (parts[2] === 'secret') parts[2] = Buffer.from(password).toString('latin1');
    if (parts[1] === 'doveadm') parts[1] = Buffer.from(user).toString('latin1');
    return `PLAIN\t${Buffer.from(parts.join('\0'), 'latin1').toString('base64')}`;
  });
  return Buffer.from(changed, 'latin1');
}

/** Plays one session; what was heard. */
async function playOnce(session, target, { greeting, timeoutMs }) {
  const wanted = heardIn(session);
  // A session of a preauthenticated socket logs in first where the server asks for a password.
  const logsIn = wanted.handshake[0] === '+' && greeting === '-';
  const connection = await open(target, session.minor, Date.now() + timeoutMs);
  const { heard } = connection;
  try {
    for (const [at, step] of session.steps.entries()) {
      if (step.tls !== undefined && !target.tls) await connection.startTls();
      if (step.dir !== 'c2s') continue;
      if (step.eof === true) {
        connection.endWrites();
        continue;
      }
      connection.write(withLogin(Buffer.from(step.hex, 'hex'), target));
      if (at === 0 && logsIn) {
        await connection.until(() => heard.handshake.length > 0 || heard.eof, 'no greeting');
        const login = Buffer.from(`\0${target.user}\0${target.password}`).toString('base64');
        connection.write(`PLAIN\t${login}\n`);
        await connection.until(() => heard.handshake.length > 1 || heard.eof, 'no answer to PLAIN');
        heard.handshake.shift();
      }
      const next = session.steps.findIndex(({ dir }, other) => other > at && dir === 'c2s');
      const goal = progressOf(heardIn(session, session.steps.slice(0, next === -1 ? undefined : next)));
      const isThere = () => progressOf(heard).every((have, index) => have >= goal[index]);
      await connection.until(() => isThere() || heard.eof, 'the server did not answer as much as recorded');
    }
    if (wanted.eof) await connection.until(() => heard.eof, 'the server did not close');
    else {
      // What comes unasked, and an end that was not recorded, come now.
      await connection.until(() => heard.eof || connection.isQuiet(), 'the server does not stop');
      const isOver = heard.eof;
      // A server answers all that it got, then ends. One without a login, and dsync, say something about our end.
      if (heard.isReady && session.expect?.output_hex === undefined) {
        connection.endWrites();
        await connection.until(() => heard.eof, 'no end after ours');
      }
      heard.eof = isOver;
    }
    return heard;
  } finally {
    connection.close();
  }
}

/** The kind of a value that is another on every server, or the value itself. */
function kindOf(cell) {
  if (typeof cell !== 'string') return cell;
  if (/^-?\d+$/.test(cell)) return 'number';
  if (/^[0-9a-f]{32}$/.test(cell)) return 'guid';
  if (cell.startsWith('/')) return 'path';
  return /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/.test(cell) ? 'time' : cell;
}

/** A reply as far as it is compared; `how` as README.md has it. */
function comparable({ cells, text, partial, status }, how) {
  if (how === 'status') return { status };
  if (how === undefined) return { cells, text, partial, status };
  const kinds = cells?.map((cell) => JSON.stringify(kindOf(cell)));
  if (how === 'repeats') return { cells: [...new Set(kinds)], status };
  const paths = text?.replaceAll?.(/"\/[^"]*"/g, '"path"');
  const numbers = partial?.replaceAll?.(/\d+/g, 'number');
  return { cells: how === 'unordered' ? kinds?.toSorted() : kinds, text: paths, partial: numbers, status };
}

/** Everything of an answer that counts. */
export function meaningOf(session, heard) {
  const { compare, logs: logsHow } = plays.families[session.name.slice(0, -session.dovecot.length - 1)] ?? {};
  const begin = session.expect?.output_hex;
  const said = { server_minor: heard.serverMinor ?? null, handshake: heard.handshake };
  if (begin !== undefined) return { ...said, begins: /^\n\+\nVERSION\tdsync\t\d+\t/.test(heard.output) };
  const { replies = [], logs = [], eof = false } = expectOf(heard);
  return {
    ...said,
    replies: replies.map((reply) => comparable(reply, compare)),
    logs: logsHow === 'distinct' ? [...new Set(logs.map(({ type }) => type))] : logs.map(({ type }) => type),
    eof,
  };
}

/** Why a session cannot be played at this server; undefined: it can. */
function whyNot(family, session, target, greeting) {
  const missing = (plays.families[family]?.needs ?? []).find((need) => !target.have.includes(need));
  if (missing !== undefined) return `needs ${missing}: ${plays.needs[missing]}`;
  const wanted = heardIn(session);
  const tlsAt = session.steps.findIndex((step) => step.tls !== undefined);
  if (tlsAt === 0 && !target.tls) return 'needs --tls: a listener with TLS from the first byte';
  if (tlsAt > 0 && target.tls) return 'STARTTLS is played in clear, without --tls';
  if (wanted.handshake[0] === '-' && greeting === '+') return 'needs a listener that asks for a password';
  if (wanted.handshake[0] === '+' && greeting === '-') {
    const first = Buffer.from(session.steps[0].hex, 'hex');
    if (first.indexOf(0x0a) !== first.length - 1)
      return 'needs a preauthenticated listener: the command follows VERSION at once';
  }
  if (greeting === '-' && target.password === undefined && wanted.isReady) return 'needs --password-file';
  return undefined;
}

/**
 * Plays a family; resolves with `{ result: 'pass' | 'fail' | 'skip', release, why }`. It passes when the server answers like one of the
 * recorded releases that announce its minor, or like `release`.
 */
export async function playAtServer({ name, sessions }, target, { greeting, minor, release, timeoutMs }) {
  const fitting = sessions.filter((session) =>
    release === undefined ? session.server_minor === minor : session.dovecot === release,
  );
  if (fitting.length === 0)
    return { result: 'skip', why: `no session of ${release ?? `a server of minor ${minor}`} was recorded` };
  const tried = new Set();
  let failed;
  for (const session of fitting.toReversed()) {
    let wanted;
    try {
      wanted = meaningOf(session, heardIn(session));
    } catch (error) {
      return { result: 'fail', release: session.dovecot, why: error.message };
    }
    const why = whyNot(name, session, target, greeting);
    if (why !== undefined) return { result: 'skip', release: session.dovecot, why };
    const key = JSON.stringify([session.steps.filter(({ dir }) => dir === 'c2s'), wanted]);
    if (tried.has(key)) continue;
    tried.add(key);
    try {
      const got = meaningOf(session, await playOnce(session, target, { greeting, timeoutMs }));
      if (isDeepStrictEqual(got, wanted)) return { result: 'pass', release: session.dovecot };
      const parts = Object.keys(wanted).filter((part) => !isDeepStrictEqual(got[part], wanted[part]));
      const inWords = parts.map(
        (part) => `${part}: ${JSON.stringify(got[part])}, recorded ${JSON.stringify(wanted[part])}`,
      );
      failed ??= { result: 'fail', release: session.dovecot, why: inWords.join('; ').slice(0, 1000) };
    } catch (error) {
      failed ??= { result: 'fail', release: session.dovecot, why: error.message };
    }
  }
  return failed;
}
