// Our two machines against each other: every pair of minors, every way to log in, bytes cut at random.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type AcceptStep, HandshakeAccept } from '../../../src/doveadm/handshake/accept.js';
import { type DialStep, HandshakeDial } from '../../../src/doveadm/handshake/dial.js';
import { type Random, randomInteger, seededRandom } from '../../kit/plain/chunkings.js';

interface Story {
  clientMinor: number;
  serverMinor: number;
  login: 'preauthenticated' | 'plain' | 'starttls' | 'implicit-tls';
  isPasswordRight: boolean;
  seed: number;
}

type Accepted = Extract<AcceptStep, { do: 'ready' | 'close' }>;
type Dialled = Extract<DialStep, { do: 'ready' | 'fail' }>;

/** Stands for ClientHello and ServerHello: bytes that are taken away from both handshakes. */
const clientHello = 'client hello\n';
const serverHello = 'server hello\n';
const command = '\tu\tquota get\n';

/** One direction: bytes that are on their way, delivered in chunks of any size. */
function createPipe(random: Random): { write: (bytes: Buffer) => void; read: () => Buffer | undefined } {
  let held: Buffer = Buffer.alloc(0);
  return {
    write(bytes) {
      held = Buffer.concat([held, bytes]);
    },
    read() {
      if (held.length === 0) return undefined;
      const count = randomInteger(random, 1, held.length);
      const chunk = Buffer.from(held.subarray(0, count));
      held = held.subarray(count);
      return chunk;
    },
  };
}

/** Plays a story to its end, and returns how both sides ended, and what came to the server behind the handshake. */
function play(story: Story): { accepted: Accepted | undefined; dialled: Dialled | undefined; rest: string } {
  const random = seededRandom(story.seed);
  const toServer = createPipe(random);
  const toClient = createPipe(random);
  const isTls = story.login === 'implicit-tls';
  const accept = new HandshakeAccept({
    minor: story.serverMinor,
    preauthenticated: story.login === 'preauthenticated',
    tls: isTls ? 'done' : 'starttls',
    plainAllowed: story.login === 'plain',
    lineBytesMax: 100,
  });
  const dial = new HandshakeDial({
    minor: story.clientMinor,
    tls: isTls ? 'done' : story.login === 'starttls' ? 'starttls' : 'none',
    credentials: { user: 'doveadm', password: Buffer.from(story.isPasswordRight ? 'secret' : 'wrong') },
    mayAuthenticateInClear: story.login === 'plain',
    lineBytesMax: 100,
  });
  let accepted: Accepted | undefined;
  let dialled: Dialled | undefined;
  let rest = '';
  let serverTls: string | undefined;
  let clientTls: string | undefined;

  function takeAccept(steps: readonly AcceptStep[]): void {
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          toClient.write(step.bytes);
          break;
        case 'start-tls':
          serverTls = '';
          readServer(step.rest);
          break;
        case 'verify':
          takeAccept(accept.verified(step.password.toString() === 'secret'));
          break;
        case 'ready':
          rest += step.rest.toString();
          accepted = step;
          break;
        case 'in-clear':
          break;
        case 'close':
          accepted = step;
          break;
        default:
          step satisfies never;
      }
    }
  }

  function takeDial(steps: readonly DialStep[]): void {
    for (const step of steps) {
      switch (step.do) {
        case 'send':
          toServer.write(step.bytes);
          break;
        case 'start-tls':
          clientTls = '';
          toServer.write(Buffer.from(clientHello));
          break;
        case 'ready':
          dialled = step;
          toServer.write(Buffer.from(command));
          break;
        case 'fail':
          dialled = step;
          break;
        default:
          step satisfies never;
      }
    }
  }

  function readServer(chunk: Buffer): void {
    if (accepted !== undefined) {
      rest += chunk.toString();
    } else if (serverTls === undefined) {
      takeAccept(accept.push(chunk));
    } else {
      serverTls += chunk.toString();
      if (serverTls !== clientHello) return;
      serverTls = undefined;
      toClient.write(Buffer.from(serverHello));
      takeAccept(accept.tlsStarted());
    }
  }

  function readClient(chunk: Buffer): void {
    if (clientTls === undefined) return takeDial(dial.push(chunk));
    clientTls += chunk.toString();
    if (clientTls !== serverHello) return;
    clientTls = undefined;
    takeDial(dial.tlsStarted());
  }

  takeDial(dial.start());
  for (;;) {
    const isServerFirst = random() < 0.5;
    const forServer = isServerFirst ? toServer.read() : undefined;
    const forClient = forServer === undefined ? toClient.read() : undefined;
    const late = forServer === undefined && forClient === undefined ? toServer.read() : undefined;
    if (forServer !== undefined) readServer(forServer);
    else if (forClient !== undefined) readClient(forClient);
    else if (late !== undefined) readServer(late);
    else break;
  }
  return { accepted, dialled, rest };
}

void test('both machines agree, whatever the minors, the login and the cuts', () => {
  const seen = new Set<string>();
  for (const clientMinor of [0, 1, 2, 3, 4]) {
    for (const serverMinor of [0, 1, 2, 3, 4]) {
      for (const login of ['preauthenticated', 'plain', 'starttls', 'implicit-tls'] as const) {
        for (const isPasswordRight of [true, false]) {
          fc.assert(
            fc.property(fc.integer(), (seed) => {
              seen.add(check({ clientMinor, serverMinor, login, isPasswordRight, seed }));
            }),
            { numRuns: 20 },
          );
        }
      }
    }
  }
  assert.deepEqual([...seen].toSorted(), ['ready', 'rejected', 'tls-missing']);
});

function check(story: Story): 'ready' | 'rejected' | 'tls-missing' {
  const { clientMinor, serverMinor, login, isPasswordRight } = story;
  const { accepted, dialled, rest } = play(story);
  const name = JSON.stringify(story);
  if (login === 'starttls' && clientMinor > 0 && serverMinor < 2) {
    assert.ok(dialled?.do === 'fail', name);
    assert.deepEqual(
      [dialled.code, dialled.message],
      ['tls-failed', 'the server is too old for STARTTLS'],
      name,
    );
    assert.equal(accepted, undefined, name);
    return 'tls-missing';
  }
  if (login !== 'preauthenticated' && !isPasswordRight) {
    assert.equal(dialled?.do === 'fail' && dialled.code, 'auth-rejected', name);
    assert.equal(accepted?.do === 'close' && accepted.why, 'auth-failed', name);
    return 'rejected';
  }
  const minor = Math.min(clientMinor, serverMinor);
  assert.ok(accepted?.do === 'ready' && dialled?.do === 'ready', name);
  assert.deepEqual([accepted.minor, accepted.clientMinor], [minor, clientMinor], name);
  assert.deepEqual(
    [dialled.minor, dialled.serverMinor],
    [minor, clientMinor === 0 ? undefined : serverMinor],
    name,
  );
  assert.equal(dialled.rest.length, 0, name);
  assert.equal(rest, command, name);
  return 'ready';
}
