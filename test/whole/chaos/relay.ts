// A relay between the gate and one backend that writes down what the gate sent and what it was given (EVIDENCE.md, `backend.jsonl`), and
// that can cut, tear, delay, hold and forge. It reads the protocol by the tests' own framing; nothing here is of src/.
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { createDemux, createFramer, type Demux, replyChannel } from '../../kit/plain/framing.js';
import type { Evidence } from './evidence.js';

/** What is wrong on the way. */
export interface RelayFaults {
  /** Of so many replies only `tearBytes` bytes are given to the gate (below zero: all but so many); then both sides are cut. */
  tears: number;
  tearBytes: number;
  /** The connection ends when so many command lines arrive, before they go on. */
  swallows: number;
  /** Each way gets this much later, for lines and replies that come from now on. */
  delayMs: number;
  /** Replies reach the gate in pieces of so many bytes at most, each in a packet of its own; 0: as they come. */
  shredBytes: number;
  /** Nothing passes, and nothing ends. */
  isHeld: boolean;
  /** So many commands are answered by the relay, with these bytes of the reply channel, and do not go on; then the connection ends. */
  forges: number;
  forged: Buffer;
  /** New connections are ended at once; with a text they are greeted with it first. */
  isRefused: boolean;
  greeting: string;
}

export interface Relay {
  readonly name: string;
  /** Ends all connections. */
  cut(): void;
  set(faults: Partial<RelayFaults>): void;
  close(): Promise<void>;
}

interface Pending {
  readonly n: number;
  readonly at: number;
  readonly line: string;
  input?: { bytes: number; sha: string } | { cut: true };
  passed: boolean;
  forged: boolean;
  hash: Hash;
  bytes: number;
  status: string;
  hasBody: boolean;
  begun: boolean;
}

/** A reply in more pieces would hold its upstream for minutes. */
const shredMax = 2_000;

const takesInput = /\t(?:save|sieve(?: put|\tput))(?:\t|$)/;

export async function openRelay(
  evidence: Evidence,
  name: string,
  port: number,
  backend: string,
): Promise<Relay> {
  const links = new Set<() => void>();
  const fault: RelayFaults = {
    tears: 0,
    tearBytes: 0,
    swallows: 0,
    delayMs: 0,
    shredBytes: 0,
    isHeld: false,
    forges: 0,
    forged: Buffer.alloc(0),
    isRefused: false,
    greeting: '',
  };
  const resumes = new Set<() => void>();
  let conn = 0;

  const serve = (gate: net.Socket): void => {
    if (fault.isRefused) {
      gate.on('error', () => undefined);
      if (fault.greeting === '') gate.destroy();
      else gate.end(fault.greeting, () => gate.destroy());
      return;
    }
    conn += 1;
    const number = conn;
    const far = net.connect(backend);
    const frame = createFramer('packet');
    const pending: Pending[] = [];
    let commands = 0;
    let demux: Demux | undefined;
    let isOver = false;
    let isAuthenticated = false;
    /** Bytes from the gate that are no whole line yet. */
    let rest = '';
    let input: string[] | undefined;
    let greeting = '';

    const settle = (one: Pending, isWhole: boolean): void => {
      const { n, at, line, passed } = one;
      evidence.write('backend', {
        backend: name,
        conn: number,
        n,
        at,
        line,
        ...(one.input !== undefined && { input: one.input }),
        passed,
        ...((isWhole || one.begun) && {
          reply: {
            ...(isWhole && { status: one.status }),
            bytes: one.bytes,
            sha: one.hash.digest('hex'),
            whole: isWhole,
          },
        }),
        ended: Date.now(),
        ...(one.forged && { forged: true }),
      });
    };
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      links.delete(end);
      resumes.delete(resume);
      gate.destroy();
      far.destroy();
      for (const one of pending.splice(0)) {
        if (input !== undefined && one.n === commands) one.input = { cut: true };
        settle(one, false);
      }
    };
    /** Everything that is given to the gate passes here, as the gate gets it. */
    const give = (bytes: Buffer): void => {
      if (isOver) return;
      gate.write(bytes);
      if (demux === undefined) {
        greeting += bytes.toString('latin1');
        const at = /^VERSION[^\n]*\n-\n\+\n/.exec(greeting);
        if (at === null) return;
        demux = createDemux('packet');
        const more = Buffer.from(greeting.slice(at[0].length), 'latin1');
        if (more.length > 0) read(more);
        return;
      }
      read(bytes);
    };
    const read = (bytes: Buffer): void => {
      for (const piece of demux?.push(bytes) ?? []) {
        if (piece.channel !== replyChannel) continue;
        let left = piece.bytes;
        while (left.length > 0) {
          const one = pending[0];
          if (one === undefined) return;
          one.begun = true;
          const at = left.indexOf(0x0a);
          const part = at === -1 ? left : left.subarray(0, at);
          if (one.hasBody) one.status += part.toString('latin1');
          else {
            one.hash.update(part);
            one.bytes += part.length;
          }
          left = at === -1 ? left.subarray(left.length) : left.subarray(at + 1);
          if (at === -1) break;
          if (one.hasBody) {
            pending.shift();
            settle(one, true);
          } else one.hasBody = true;
        }
      }
    };
    const pass = (bytes: Buffer): void => {
      if (!isOver && !far.destroyed) far.write(bytes);
    };
    /** One line of the gate, with its LF; true: it goes on. */
    const takeLine = (text: string): boolean => {
      const line = text.slice(0, -1);
      const last = pending.at(-1);
      if (input !== undefined) {
        if (line.replace(/\r$/, '') === '.') {
          // The line end before the final dot is not data (PROTOCOL 6).
          const body = Buffer.from(input.join('').replace(/\r?\n$/, ''), 'latin1');
          if (last !== undefined && last.n === commands)
            last.input = { bytes: body.length, sha: createHash('sha256').update(body).digest('hex') };
          input = undefined;
        } else input.push(text.startsWith('.') ? text.slice(1) : text);
        return true;
      }
      if (!isAuthenticated || line.startsWith('\t\tOPTION\t')) {
        const shown = line.replace(/^PLAIN\t.*$/s, 'PLAIN');
        if (line.startsWith('PLAIN')) isAuthenticated = true;
        evidence.write('backend', {
          backend: name,
          conn: number,
          n: 0,
          at: Date.now(),
          line: shown,
          handshake: true,
        });
        return true;
      }
      commands += 1;
      const one: Pending = {
        n: commands,
        at: Date.now(),
        line,
        passed: true,
        forged: false,
        hash: createHash('sha256'),
        bytes: 0,
        status: '',
        hasBody: false,
        begun: false,
      };
      pending.push(one);
      if (takesInput.test(line)) input = [];
      if (fault.swallows > 0) {
        fault.swallows -= 1;
        one.passed = false;
        setImmediate(end);
        return false;
      }
      if (fault.forges > 0 && input === undefined) {
        fault.forges -= 1;
        one.passed = false;
        one.forged = true;
        give(frame(replyChannel, fault.forged));
        setTimeout(end, 20);
        return false;
      }
      return true;
    };
    const fromGate = (chunk: Buffer): void => {
      rest += chunk.toString('latin1');
      const out: string[] = [];
      let from = 0;
      for (let at = rest.indexOf('\n'); at !== -1; at = rest.indexOf('\n', from)) {
        const text = rest.slice(from, at + 1);
        from = at + 1;
        if (takeLine(text)) out.push(text);
      }
      rest = rest.slice(from);
      if (out.length > 0) later(() => pass(Buffer.from(out.join(''), 'latin1')));
    };
    const fromBackend = (chunk: Buffer): void => {
      if (demux !== undefined && fault.tears > 0 && pending.length > 0) {
        fault.tears -= 1;
        // Below zero: so many bytes before the end.
        give(chunk.subarray(0, fault.tearBytes));
        setTimeout(end, 5);
        return;
      }
      if (fault.shredBytes === 0 || chunk.length > shredMax) {
        later(() => give(chunk));
        return;
      }
      for (let at = 0; at < chunk.length; at += fault.shredBytes) {
        const piece = chunk.subarray(at, at + fault.shredBytes);
        queue.push(() => give(piece));
      }
      next();
    };
    /** In order: a delay holds up what comes behind it. */
    const queue: (() => void)[] = [];
    let isWaiting = false;
    const later = (act: () => void): void => {
      if (fault.delayMs === 0 && queue.length === 0 && !isWaiting) {
        act();
        return;
      }
      queue.push(act);
      next();
    };
    const next = (): void => {
      if (isWaiting || queue.length === 0) return;
      isWaiting = true;
      setTimeout(() => {
        isWaiting = false;
        // Pieces that are written together arrive together.
        for (const act of queue.splice(0, fault.shredBytes === 0 ? queue.length : 1)) act();
        next();
      }, fault.delayMs);
    };
    const resume = (): void => {
      gate.resume();
      far.resume();
    };
    links.add(end);
    resumes.add(resume);
    gate.on('data', (chunk) => {
      fromGate(chunk);
      if (fault.isHeld) gate.pause();
    });
    far.on('data', (chunk) => {
      fromBackend(chunk);
      if (fault.isHeld) far.pause();
      else if (gate.writableLength > 1 << 20) {
        far.pause();
        gate.once('drain', () => {
          if (!fault.isHeld) far.resume();
        });
      }
    });
    gate.on('error', end);
    far.on('error', end);
    gate.on('end', () => later(end));
    gate.on('close', end);
    far.on('end', () => later(end));
    far.on('close', () => later(end));
  };

  const server = net.createServer({ noDelay: true }, serve);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    name,
    cut() {
      for (const end of links) end();
    },
    set(faults) {
      Object.assign(fault, faults);
      if (faults.isHeld === false) for (const resume of resumes) resume();
    },
    async close() {
      for (const end of links) end();
      await once(server.close(), 'close');
    },
  };
}
