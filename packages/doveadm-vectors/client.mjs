// Plays the server's side of recorded sessions to a client that is started by a command line: checks what it sends, and what it makes
// of the answer. README.md has the contract of such a command.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { cellOf, expectOf, families, heardIn } from './sessions.mjs';
import {
  bytesMax,
  createMux,
  createServerReader,
  framingOf,
  readDots,
  readLine,
  shown,
  takesText,
  wordsOf,
} from './wire.mjs';

const printedMax = 16 * 1024 * 1024;
const hexOf = ({ hex }) => Buffer.from(hex, 'hex');

/** What the real program was to do: from its own command line, and the name from the line that it sent. */
function requestOf({ command, steps, stdin_hex: stdin = '' }) {
  const sent = steps.filter(({ dir, hex }) => dir === 'c2s' && hex !== undefined).map(hexOf);
  const lines = Buffer.concat(sent).toString('latin1').split('\n');
  const at = lines.findIndex((line) => /^[Dvx]*\t/.test(line) && !line.startsWith('\t\tOPTION\t'));
  const fields = lines[at]?.split('\t') ?? [];
  // A client that was refused sent none.
  const name = fields[fields[0]?.includes('x') ? 3 : 2] ?? 'quota get';
  const words = command.slice(1);
  const begin = words.indexOf(name.split(' ')[0]);
  const flags = words.slice(0, begin).join('');
  const own = words.slice(begin + name.split(' ').length);
  const args = own.filter(
    (word, index) => !['-u', '-S'].includes(word) && !['-u', '-S'].includes(own[index - 1]),
  );
  return {
    user: own[own.indexOf('-u') + 1],
    name,
    args,
    debug: flags.includes('D'),
    verbose: flags.includes('v'),
    ...(takesText([...name.split(' '), ...args]) && {
      input: shown(Buffer.from(stdin, 'hex').toString('latin1')),
    }),
    login: { user: 'doveadm', password: 'secret' },
  };
}

/** What the recorded server sent after the login, in the pieces of its writes; demultiplexed. */
function scriptOf(session) {
  const reader = createServerReader(session.minor);
  const writes = [];
  for (const step of session.steps.filter(({ dir, hex }) => dir === 's2c' && hex !== undefined)) {
    const isReady = reader.heard.isReady;
    reader.push(hexOf(step));
    const { pieces } = reader.heard;
    if (pieces.length > 0) writes.push({ pieces, bytes: isReady ? hexOf(step) : undefined });
  }
  const { heard } = reader;
  return { heard, writes, isComplete: heard.replies.length > 0 };
}

/**
 * Places where an answer is cut: the bytes up to there of cells and status, each with its line end. undefined: the framing, or the status,
 * has no such place.
 */
const places = {
  'after its cells': (mux, cells) => mux([cells]),
  'inside its status': (mux, cells, status) =>
    status.length > 3 ? mux([cells, status.subarray(0, -3)]) : undefined,
  'before the line end of its status': (mux, cells, status) => mux([cells, status.subarray(0, -1)]),
  // Three bytes of five of a packet's header; in STREAM two of four that change the channel.
  'inside a header': (mux, cells, status, framing) =>
    framing === 'none' ? undefined : mux([cells], [status.subarray(0, 1)]).subarray(0, -3),
  'inside a payload': (mux, cells, status, framing) =>
    framing === 'packet' ? mux([cells, status]).subarray(0, -1) : undefined,
};

/** The answer of a session up to a place. */
function cutAnswer(place, { output }, framing) {
  const end = output.indexOf('\n') + 1;
  const [cells, status] = [output.slice(0, end), output.slice(end)].map((text) =>
    Buffer.from(text, 'latin1'),
  );
  const mux = (texts, logs = []) =>
    createMux(framing)([
      ...texts.map((bytes) => ({ channel: 0, bytes })),
      ...logs.map((bytes) => ({ channel: 0x4c, bytes })),
    ]);
  return places[place](mux, cells, status, framing);
}

/** Families whose answers are played cut, too: rows and success, rows and a failure. */
const cutFamilies = ['cli-mailbox-status', 'cli-row-then-tempfail'];

/** The session with another answer after its handshake. */
function answeredWith(session, bytes) {
  const [handshake] = session.steps.filter(({ dir, hex }) => dir === 's2c' && hex !== undefined);
  const mux = createMux(framingOf(session.minor, session.server_minor));
  const hex = mux([{ channel: 0, bytes }]).toString('hex');
  return {
    ...session,
    steps: [...session.steps.filter(({ dir }) => dir === 'c2s'), handshake, { dir: 's2c', hex }],
  };
}

/** A `fetch body` is also answered with a body of every byte, as a server of minor 4 sent it: a 03 before fe needs the escape of STREAM. */
function withBytes(family) {
  const recorded = families('server').find(({ name }) => name === 'fetch-body-binary-m4');
  const bytes = Buffer.from(heardIn(recorded.sessions[0]).output, 'latin1');
  const sessions = family.sessions.map((session) => answeredWith(session, bytes));
  return { name: `${family.name} answered with every byte`, sessions, isMade: true };
}

/** The families, each followed by its answers that were not recorded but made of recorded ones. */
export function withMade(some) {
  return some.flatMap((family) => [
    family,
    ...(cutFamilies.includes(family.name) ? Object.keys(places) : []).map((place) => ({
      ...family,
      name: `${family.name} cut ${place}`,
      place,
    })),
    ...(family.name === 'cli-fetch-split-escape' ? [withBytes(family)] : []),
  ]);
}

const bytesOf = (cell) =>
  Buffer.from(cell.hex ?? cell, cell.hex === undefined ? 'utf8' : 'hex').toString('latin1');

/** What an adapter printed in the form that `expect` has, whether it is a text or `{ hex }`; what is neither stays. */
const asExpected = (value) =>
  typeof value === 'string' || typeof value?.hex === 'string' ? cellOf(bytesOf(value)) : value;

/** The server's side of one connection; `faults` gets what the client does wrong. */
function serve(socket, session, request, state) {
  const { heard, writes, isComplete } = scriptOf(session);
  const { faults } = state;
  const versionLine =
    heard.serverMinor === undefined ? '' : `VERSION\tdoveadm-client\t1\t${heard.serverMinor}\n`;
  let text = '';
  let phase = 'version';
  let wanted;
  let bytes = 0;
  const fault = (why) => {
    if (faults.length < 10) faults.push(why);
    phase = 'over';
    socket.end();
  };
  const answer = async () => {
    phase = 'answered';
    state.isAnswered = true;
    const framing = framingOf(state.minor, heard.serverMinor);
    const mux = createMux(framing);
    if (state.place !== undefined) {
      socket.end(cutAnswer(state.place, heard, framing) ?? '');
      return;
    }
    const isRecorded = state.minor === session.minor;
    for (const write of writes) {
      socket.write((isRecorded && write.bytes) || mux(write.pieces));
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    if (!isComplete) socket.end();
  };
  const checkInput = ({ text: got }) => {
    const input = request.input === undefined ? '' : bytesOf(request.input);
    if (got !== input.replaceAll('\r\n', '\n'))
      fault(`the text is ${JSON.stringify(shown(got))}, wanted ${JSON.stringify(shown(input))}`);
    else void answer();
  };
  const steps = {
    version(line) {
      const match = /^VERSION\tdoveadm-server\t1\t(\d{1,10})$/.exec(line);
      if (match === null) return fault(`the first line is ${JSON.stringify(line)}`);
      state.minor = Number(match[1]);
      const [greeting] = heard.handshake;
      socket.write(`${state.minor === 0 ? '' : versionLine}${greeting}\n`);
      phase = greeting === '+' ? 'command' : 'login';
      return undefined;
    },
    login(line) {
      const right = `PLAIN\t${Buffer.from('\0doveadm\0secret').toString('base64')}`;
      if (line !== right)
        return fault(`the login is ${JSON.stringify(line)}, wanted ${JSON.stringify(right)}`);
      socket.write(`${heard.handshake[1]}\n`);
      phase = heard.handshake[1] === '+' ? 'command' : 'over';
      if (phase === 'over') socket.end();
      return undefined;
    },
    command(line) {
      const got = readLine(line);
      if ((got.option !== undefined || got.extra !== undefined) && !((heard.serverMinor ?? 0) >= 3))
        return fault(`${JSON.stringify(line)}: a server of minor ${heard.serverMinor ?? 0} does not take it`);
      if (got.option !== undefined) return undefined;
      if (got.fields < 2) return fault(`the command line has too few fields: ${JSON.stringify(line)}`);
      wanted = {
        flags: request.debug ? 'D' : request.verbose ? 'v' : '',
        user: Buffer.from(request.user).toString('latin1'),
        words: wordsOf([...request.name.split(' '), ...request.args]).map((word) =>
          Buffer.from(word).toString('latin1'),
        ),
      };
      const has = { flags: got.flags.replace('x', ''), user: got.user, words: got.words };
      // A client without these flags may leave them out: they change no answer here.
      // Where both are asked for, Dovecot's own program sends D alone; a server takes both.
      const isBoth = request.debug && request.verbose && ['Dv', 'vD'].includes(has.flags);
      if (has.flags === '' || isBoth) has.flags = wanted.flags;
      if (!isDeepStrictEqual(has, wanted))
        return fault(`the command is ${JSON.stringify(has)}, wanted ${JSON.stringify(wanted)}`);
      if (takesText(wanted.words)) phase = 'text';
      else void answer();
      return undefined;
    },
    answered(line) {
      return fault(`after the command it sent ${JSON.stringify(line)}`);
    },
    over() {
      return undefined;
    },
  };
  socket.on('data', (chunk) => {
    bytes += chunk.length;
    if (bytes > bytesMax) return fault(`it sent more than ${bytesMax} bytes`);
    text += chunk.toString('latin1');
    for (;;) {
      if (phase === 'text') {
        const read = readDots(text);
        if (read === undefined) return undefined;
        text = read.rest;
        checkInput(read);
        continue;
      }
      const end = text.indexOf('\n');
      if (end === -1) return undefined;
      const line = text.slice(0, end);
      text = text.slice(end + 1);
      steps[phase](line.replace(/\r$/, ''));
    }
  });
  // A client may leave with bytes unread.
  socket.on('error', () => {});
}

/** The process group of the command that runs now. */
let group;

function killGroup() {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // Nothing is left of it.
  }
  group = undefined;
}

// The command is in a group of its own, so the signals of a terminal do not reach it.
for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }))
  process.on(signal, () => {
    killGroup();
    process.exit(code);
  });

/** Runs the command, and resolves with how it ended; at the deadline it is killed, with the processes that it started. */
function runCommand([file, ...args], input, env, timeoutMs) {
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      detached: true,
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    group = child.pid;
    const printed = { stdout: [], stderr: [] };
    let size = 0;
    let ended;
    const stop = (why) => {
      ended ??= why;
      killGroup();
      // A process that left the group may hold them open.
      for (const name of ['stdout', 'stderr']) child[name].destroy();
    };
    const timer = setTimeout(() => stop(`it did not end within ${timeoutMs / 1000} s`), timeoutMs);
    for (const name of ['stdout', 'stderr'])
      child[name].on('data', (bytes) => {
        size += bytes.length;
        if (size <= printedMax) printed[name].push(bytes);
        else stop(`it printed more than ${printedMax} bytes`);
      });
    child.on('error', (error) => {
      ended = `cannot run ${file}: ${error.message}`;
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      killGroup();
      const [stdout, stderr] = ['stdout', 'stderr'].map((name) =>
        Buffer.concat(printed[name]).toString('utf8'),
      );
      resolve({ exit: code ?? (signal === 'SIGABRT' ? 134 : signal), stdout, stderr, ended });
    });
  });
}

/** The last line that an adapter printed; undefined: no JSON. */
function printedBy({ stdout }) {
  try {
    return JSON.parse(stdout.trim().split('\n').at(-1));
  } catch {
    return undefined;
  }
}

/** What is wrong with what an adapter printed; undefined: nothing. */
function wrongAnswer(session, ended, place) {
  const got = printedBy(ended);
  if (got === undefined)
    return `the last line of its output is no JSON: ${JSON.stringify(ended.stdout.slice(-300))}`;
  const { replies: [reply] = [], logs = [] } = expectOf(heardIn(session));
  const isCut = place !== undefined || reply?.status === undefined;
  const isText = reply?.text !== undefined;
  const says = JSON.stringify(got).slice(0, 500);
  if (isCut || typeof got?.broken === 'string')
    return isCut && typeof got?.broken === 'string'
      ? undefined
      : isText && got?.status === undefined
        ? undefined
        : `${isCut ? 'the answer was cut' : 'the answer was complete'}, and it says ${says}`;
  const said = {
    status: asExpected(got?.status),
    cells: Array.isArray(got?.cells) ? got.cells.map(asExpected) : got?.cells,
    logs: (got?.logs ?? []).map((line) => ({ ...line, text: asExpected(line?.text) })),
  };
  // A bare minus has the exit code of UNKNOWN.
  const status = said.status === '-UNKNOWN' && reply.status === '-' ? '-' : said.status;
  if (status !== reply.status) return `the status was ${reply.status}, and it says ${says}`;
  const cells = isText ? [reply.text] : reply.cells;
  // Of a failure the cells before it may be dropped.
  const maySkip = reply.status !== '+' && (said.cells === undefined || said.cells.length === 0);
  if (!maySkip && !isDeepStrictEqual(said.cells, cells))
    return `the cells were ${JSON.stringify(cells)}, and it says ${says}`;
  const stranger = said.logs.find((line) => !logs.some((sent) => isDeepStrictEqual(sent, line)));
  return stranger === undefined ? undefined : `nobody sent the log line ${JSON.stringify(stranger)}`;
}

/** What is wrong with how a doveadm ended; undefined: nothing. Whether a long cell begins on a new line depends on how it was read. */
function wrongEnd({ expect }, { exit, stdout }, place) {
  if (place !== undefined) return exit === 0 ? 'the answer was cut, and it ended with exit 0' : undefined;
  const words = (text) => text.replaceAll(/\s+/g, ' ').trim();
  if (exit !== expect.exit) return `exit ${exit}, recorded ${expect.exit}`;
  if (words(stdout) !== words(expect.stdout))
    return `it printed ${JSON.stringify(stdout)}, recorded ${JSON.stringify(expect.stdout)}`;
  return undefined;
}

async function playOnce(session, command, timeoutMs, place) {
  const isTcp = command.some((word) => word.includes('{port}'));
  const folder = mkdtempSync(join(tmpdir(), 'dv-'));
  const path = join(folder, 's');
  const request = requestOf(session);
  const state = { faults: [], minor: undefined, isAnswered: false, place };
  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: false }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, session, request, state);
  });
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(isTcp ? { host: '127.0.0.1', port: 0 } : { path }, resolve);
    });
    const port = isTcp ? String(server.address().port) : '';
    const address = isTcp ? `127.0.0.1:${port}` : path;
    const filled = command.flatMap((word) =>
      word === '{args}'
        ? session.command.slice(1).map((each) => (each === 'SOCKET' ? address : each))
        : [word.replaceAll('{socket}', path).replaceAll('{host}', '127.0.0.1').replaceAll('{port}', port)],
    );
    const isDoveadm = command.includes('{args}');
    const input = isDoveadm ? Buffer.from(session.stdin_hex ?? '', 'hex') : JSON.stringify(request);
    const env = isTcp
      ? { DOVEADM_VECTORS_HOST: '127.0.0.1', DOVEADM_VECTORS_PORT: port }
      : { DOVEADM_VECTORS_SOCKET: path };
    const ended = await runCommand(filled, input, env, timeoutMs);
    const cannot = isDoveadm ? undefined : printedBy(ended)?.cannot;
    if (typeof cannot === 'string') return { minor: state.minor, faults: [], cannot };
    const { faults, minor } = state;
    const isLoginRefused = heardIn(session).handshake[1] === '-';
    if (ended.ended !== undefined) faults.push(ended.ended);
    else if (minor === undefined)
      faults.push(`it did not connect; it said ${JSON.stringify(ended.stderr.slice(0, 300))}`);
    else if (!state.isAnswered && !isLoginRefused && faults.length === 0)
      faults.push(`it sent no command; it said ${JSON.stringify(ended.stderr.slice(0, 300))}`);
    // After a fault of the client the runner closes: what the client says of that is no second fault.
    const wrongOf = isDoveadm ? wrongEnd : wrongAnswer;
    const wrong = faults.length === 0 ? wrongOf(session, ended, place) : undefined;
    if (wrong !== undefined) faults.push(wrong);
    return { minor, faults };
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Plays families to a client, one after the other; each call resolves with `{ result, release, why }`. A client that answers in JSON gets
 * every answer that was recorded, once; a cut one in each framing that it gets. A doveadm has to end as one of the recorded releases of
 * its minor did.
 */
export function createPlayer(command, { release, timeoutMs }) {
  const isDoveadm = command.includes('{args}');
  /** What the client announces, once it did. */
  let known;

  return async ({ sessions, place, isMade = false }) => {
    if (isDoveadm && isMade) return { result: 'skip', why: 'no output of a doveadm was recorded for it' };
    const fitting = sessions.filter(({ dovecot }) => release === undefined || dovecot === release);
    if (fitting.length === 0) return { result: 'skip', why: `no session of ${release} was recorded` };
    if (fitting.some((session) => session.command === undefined))
      return { result: 'skip', why: 'a server of Dovecot was the client' };
    if (fitting.some(({ connections }) => connections !== undefined))
      return { result: 'skip', why: 'the client lists the users by itself, from its own Dovecot' };
    const played = new Set();
    const failures = [];
    let passed;
    for (const session of fitting.toReversed()) {
      if (isDoveadm && known !== undefined && known !== session.minor) continue;
      const mine = isDoveadm ? [session.minor, session.expect.exit, session.expect.stdout] : [];
      const { writes, heard } = scriptOf(session);
      const said = writes.map(({ pieces }) =>
        pieces.map((piece) => [piece.channel, piece.bytes.toString('hex')]),
      );
      const framing = framingOf(known ?? session.minor, heard.serverMinor);
      if (place !== undefined && cutAnswer(place, heard, framing) === undefined) continue;
      const key =
        place === undefined ? JSON.stringify([heard.serverMinor, heard.handshake, said, mine]) : framing;
      if (played.has(key)) continue;
      played.add(key);
      const { minor, faults, cannot } = await playOnce(session, command, timeoutMs, place);
      if (cannot !== undefined) return { result: 'skip', why: `the client cannot ${cannot}` };
      known ??= minor;
      if (isDoveadm && minor !== undefined && minor !== session.minor) continue;
      if (faults.length === 0) passed = session.dovecot;
      else failures.push({ result: 'fail', release: session.dovecot, why: faults.join('\n') });
    }
    if (isDoveadm && passed !== undefined) return { result: 'pass', release: passed };
    if (failures.length > 0) return failures[0];
    if (passed === undefined && place !== undefined)
      return { result: 'skip', why: 'no answer that this client gets has such a place' };
    if (passed === undefined)
      return { result: 'skip', why: `no session of a client of minor ${known} was recorded` };
    return { result: 'pass' };
  };
}
