// The same question to a real server over HTTP and on the wire, and the wire's reply as the JSON that we make of it.
import assert from 'node:assert/strict';
import { resolveCommand } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { responseBegin, responseEnd } from '../../../src/doveadm/http-api/answer.js';
import { createJsonEncoder, createRowsEncoder, usernameColumn } from '../../../src/doveadm/http-api/rows.js';
import { replyRows } from '../../../src/doveadm/meaning/columns.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { isJson } from '../../kit/plain/json-form.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { authorizationOf, openRawHttp } from '../../kit/plain/raw-http.js';

/** How long an answer is waited for: 2.3 waits for the rest of a JSON text that is cut, even if our sending side is closed. */
const answerMs = 60_000;
const cutAnswerMs = 3_000;

/** The body of the answer; empty: the connection was closed without one, or the server waits for more of the text. */
export async function askOverHttp(lab: Lab, method: 'GET' | 'POST', body: string): Promise<string> {
  const timeoutMs = method === 'GET' || isJson(body) ? answerMs : cutAnswerMs;
  const client = await openRawHttp({ port: lab.httpPort, timeoutMs });
  try {
    const authorization = authorizationOf.password(lab.password);
    const head = `${method} /doveadm/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\n`;
    const bytes = Buffer.from(body);
    const end = `Content-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
    await client.write(Buffer.concat([Buffer.from(head + end), bytes]));
    return (await client.readAnswer()).body.toString();
  } catch {
    // The process died of it, or waits for more.
    return '';
  } finally {
    client.close();
  }
}

/** The body of the reply on the wire; undefined: it failed. */
export async function replyOf(lab: Lab, user: string, words: readonly string[]): Promise<Buffer | undefined> {
  let client: RawClient | undefined;
  try {
    client = await openRawClient({ path: lab.unixPreauth, minor: 2, timeoutMs: answerMs });
    const { body, status } = await client.ask({ user, fields: words });
    return status === '+' ? body : undefined;
  } catch {
    return undefined;
  } finally {
    client?.close();
  }
}

/** The answer to a command with tag `t`. */
export function encodedAs(lab: Lab, words: readonly string[], body: Buffer): string {
  const resolved = resolveCommand(lab.series, words);
  assert.ok(resolved);
  const parsed = parseArguments(lab.series, resolved.command, resolved.args);
  assert.ok(parsed.kind === 'parsed', JSON.stringify(parsed));
  const isForAll = parsed.values.has('all-users');
  const rows = replyRows(parsed);
  const first = body
    .toString('latin1')
    .split('\t')
    .slice(0, -1)
    .slice(isForAll ? 1 : 0);
  const columns = rows?.shapeFrom(first.slice(0, rows.decidedBy))?.columns;
  const encoder =
    columns === undefined
      ? createJsonEncoder()
      : createRowsEncoder(isForAll ? [usernameColumn, ...columns] : columns);
  const begin = encoder.push(body).toString();
  const end = encoder.end();
  assert.ok(end !== undefined, `not whole: ${begin}`);
  return `[${responseBegin}${begin}${end}${responseEnd('t')}]`;
}
