// Somebody at the page as a program: signs in with a password, asks endpoints, and follows the stream of `/api/now`.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import type { Now } from '../../../src/gate/now/now.js';
import { createEventWait } from '../plain/event-wait.js';
import type { Owner } from '../plain/folder.js';

export interface PageReplyRead {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** One request over loopback without TLS. */
export function askPageAt(
  port: number,
  method: string,
  path: string,
  { token, body }: { readonly token?: string; readonly body?: unknown } = {},
): Promise<PageReplyRead> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body: text,
        });
      });
    });
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** The token of a new session. */
export async function signIn(port: number, name: string, password: string): Promise<string> {
  const { status, body } = await askPageAt(port, 'POST', '/api/login', { body: { name, password } });
  assert.equal(status, 200, body);
  const entered: { readonly token: string } = JSON.parse(body);
  return entered.token;
}

/** A stream that is followed until the end of the test. */
export interface NowWatcher {
  /** As the page has it: the snapshot with all changes so far. */
  readonly now: Now;
  /** Changes so far. */
  readonly changes: number;
  /** Everything that came. */
  bytes(): string;
  /** Resolves with the first state, that of now or a later one, of which `isIt` holds, and the milliseconds until then. */
  waitFor(isIt: (now: Now) => boolean, what: string, ms?: number): Promise<number>;
  /** The sentence of the last event, where it was `away`. */
  readonly away: string | undefined;
  waitForAway(what: string): Promise<void>;
  readonly hasEnded: boolean;
  close(): void;
}

/** Resolves with the snapshot. */
export async function watchNow(owner: Owner, port: number, token: string): Promise<NowWatcher> {
  const events = createEventWait();
  let now: Now | undefined;
  let text = '';
  let read = 0;
  let changes = 0;
  let away: string | undefined;
  let hasEnded = false;
  let status = 0;
  const asked = request({
    host: '127.0.0.1',
    port,
    path: '/api/now',
    headers: { Authorization: `Bearer ${token}` },
    agent: false,
  });
  const end = (): void => {
    hasEnded = true;
    events.wake();
  };
  asked.once('error', end);
  asked.once('response', (response) => {
    status = response.statusCode ?? 0;
    response.setEncoding('utf8');
    response.on('data', (piece: string) => {
      text += piece;
      for (let at = text.indexOf('\n\n', read); at >= 0; at = text.indexOf('\n\n', read)) {
        const [, name, data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text.slice(read, at)) ?? [];
        read = at + 2;
        const told = JSON.parse(data);
        away = name === 'away' ? String(told.text) : undefined;
        if (name === 'snapshot') now = told;
        else if (name === 'away') continue;
        else if (now !== undefined) {
          now = { ...now, ...told };
          changes += 1;
        }
      }
      events.wake();
    });
    response.once('error', end);
    response.once('close', end);
  });
  asked.end();
  owner.after(() => void asked.destroy());
  await events.until(
    () => now !== undefined || hasEnded,
    () => 'a snapshot',
    60_000,
  );
  assert.ok(now !== undefined, `no snapshot: ${status} ${text}`);
  return {
    get now() {
      assert.ok(now !== undefined);
      return now;
    },
    get changes() {
      return changes;
    },
    get away() {
      return away;
    },
    get hasEnded() {
      return hasEnded;
    },
    bytes: () => text,
    async waitFor(isIt, what, ms = 60_000) {
      const startMs = performance.now();
      await events.until(
        () => now !== undefined && isIt(now),
        () => `${what}; it is ${JSON.stringify(now)}`,
        ms,
      );
      return performance.now() - startMs;
    },
    waitForAway: (what) => events.until(() => away !== undefined, what),
    close: () => void asked.destroy(),
  };
}
