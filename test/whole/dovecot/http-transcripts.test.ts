// Goal: the answers in test/vectors/http are what real servers answer; and through dovegate each request has the same status and the same
// parsed answer, or differences.json says why not.
// What must not happen: a test that compares dovegate with answers that no server gives; a difference that nobody decided on, or one that
// is decided on and is not there.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { z } from 'zod';
import { type Lab, openLab } from '../../kit/plain/dovecot-lab.js';
import {
  type HttpTranscript,
  httpDifferences,
  httpTranscripts,
  recordedReleaseOf,
  transcriptBytes,
} from '../../kit/plain/http-vectors.js';
import { authorizationOf, HttpCut, openRawHttp } from '../../kit/plain/raw-http.js';
import { allowedDifferences } from './http-differences.js';
import { openHttpGateway } from './http-gateway.js';
import { alice, askOnce, onDovecot } from './real-gateway.js';

/** All that the requests ask for. */
const policy = `
    users: ["*"]
    allow:
      - { command: mailbox list, all_users: true }
      - { command: mailbox status, all_users: true }
      - quota get
      - { command: search, content: true }
      - { command: fetch, content: true }
      - mailbox create
      - mailbox update
      - mailbox delete
      - save
      - sieve get
      - sieve list
      - { command: who, masks: true }
      - { command: kick, masks: true }
      - { command: user, content: true }`;

onDovecot('the captured requests are answered as captured', openLab, async (t, lab) => {
  const recorded = await openRecorded(t, lab);
  if (recorded === undefined) return;
  const transcripts = httpTranscripts();
  assert.equal(transcripts.length, 78);
  for (const transcript of transcripts) {
    const request = transcriptBytes(transcript, authorizationOf.password(lab.password));
    const isHead = transcript.head.startsWith('HEAD ');
    const text = await answerText(lab.httpPort, request, isHead, true);
    const expected: string | null = transcript.answers[recorded];
    assert.deepEqual(comparable(text, lab), comparable(expected ?? '', lab), transcript.name);
  }
});

onDovecot('dovegate in front of it answers them alike, or there is a reason', openLab, async (t, lab) => {
  const recorded = await openRecorded(t, lab);
  if (recorded === undefined) return;
  const { gateway, port, key } = await openHttpGateway(t, lab, policy);
  const { requests } = httpDifferences();
  for (const transcript of httpTranscripts()) {
    const request = transcriptBytes(transcript, authorizationOf.key(key));
    const isHead = transcript.head.startsWith('HEAD ');
    const ours = parsed(await answerText(port, request, isHead, false), lab, transcript);
    const theirs = parsed(transcript.answers[recorded] ?? '', lab, transcript);
    const title = `${transcript.name}: ${JSON.stringify(ours)}`;
    if (transcript.name === 'get v1') assertPartOf(ours, transcript);
    if (requests[transcript.name]?.[recorded] === undefined) assert.deepEqual(ours, theirs, title);
    else assert.notDeepEqual(ours, theirs, title);
  }
  const records = await gateway.finish();
  assert.ok(records.some((record) => record['protocol'] === 'http'));
});

test('every difference has a reason, and every reason a difference', () => {
  const { reasons, requests } = httpDifferences();
  const names = new Set(httpTranscripts().map(({ name }) => name));
  for (const name of Object.keys(requests)) assert.ok(names.has(name), name);
  // Generated requests find more than the captured ones.
  const found = allowedDifferences.map(([reason]) => reason);
  const used = new Set([...Object.values(requests).flatMap((by) => Object.values(by)), ...found]);
  assert.deepEqual([...used].toSorted(), Object.keys(reasons).toSorted());
});

const commandList = z
  .array(
    z.object({
      command: z.string(),
      parameters: z.array(z.object({ name: z.string(), type: z.string() })),
    }),
  )
  .min(1);

/** The list of commands is one for all series: each parameter of each command is one that Dovecot lists, of 2.3 or 2.4. */
function assertPartOf(ours: unknown, { answers }: HttpTranscript): void {
  const { statusLine, commands } = z.object({ statusLine: z.string(), commands: commandList }).parse(ours);
  assert.equal(statusLine, 'HTTP/1.1 200 OK');
  const all = Object.values(answers).flatMap((answer) =>
    commandList.parse(JSON.parse(answer?.split('\r\n\r\n')[1] ?? '')),
  );
  for (const { command, parameters } of commands) {
    const theirs = all.filter((each) => each.command === command).flatMap((each) => each.parameters);
    for (const { name, type } of parameters)
      assert.ok(
        theirs.some((each) => each.name === name && each.type === type),
        `${command}: ${name}, ${type}`,
      );
  }
}

/** Status, its words, and what a client reads of the body: JSON, or a text. */
const ownKeys: ReadonlySet<string> = new Set(['message', 'id', 'code', 'retryAfter']);

function parsed(text: string, lab: Lab, { name }: HttpTranscript): unknown {
  const { head, body } = comparable(text, lab);
  const [statusLine] = head.split('\r\n');
  if (typeof body === 'string') return { statusLine, body: body.trim() };
  // Keys of ours beside those of Dovecot's errors.
  const content: unknown = JSON.parse(
    JSON.stringify(body, (key, value: unknown) => (ownKeys.has(key) ? undefined : value)),
  );
  return name === 'get v1' ? { statusLine, commands: content } : { statusLine, content };
}

/** The release whose captures are to be compared; undefined: there are none, and the test is skipped. They were made without `Big`. */
async function openRecorded(t: TestContext, lab: Lab): Promise<ReturnType<typeof recordedReleaseOf>> {
  const recorded = recordedReleaseOf(lab.version);
  if (recorded === undefined) t.skip(`no answers of ${lab.version} were captured`);
  const fields = ['mailbox delete', '-s', 'Big'];
  assert.equal((await askOnce(lab.unixPreauth, { user: alice, fields })).status, '+');
  return recorded;
}

/**
 * The first answer, as text; empty: the connection was closed without one. Dovecot closes it after each answer, which must be the only one.
 */
async function answerText(
  port: number,
  request: Buffer,
  isHead: boolean,
  isDovecot: boolean,
): Promise<string> {
  const client = await openRawHttp({ port });
  try {
    client.write(request).catch(() => undefined);
    const { statusLine, headers, body } = await client.readAnswer({ isHead });
    if (isDovecot) await client.readEnd();
    const lines = [statusLine, ...headers.map(([name, value]) => `${name}: ${value}`)];
    return `${lines.join('\r\n')}\r\n\r\n${body.toString()}`;
  } catch (error) {
    if (error instanceof HttpCut && error.bytes.length === 0) return '';
    throw error;
  } finally {
    client.close();
  }
}

/** Head and body, without what is of one run: the date, GUIDs, the folder of mails, and the order of mailboxes. */
function comparable(text: string, lab: Lab): { head: string; body: unknown } {
  const all = text
    .replace(/^Date: .*\r\n/m, '')
    .replaceAll(`${lab.inRoot(lab.folder)}/mail`, '/srv/mail')
    .replaceAll(/\b[0-9a-f]{32}\b/g, 'GUID');
  const at = all.indexOf('\r\n\r\n');
  // The length changes with the folder; the body was read by it.
  const head = all.slice(0, at).replace(/^Content-Length: \d+/m, 'Content-Length');
  const body = all.slice(at + 4);
  return { head, body: withSortedRows(body) };
}

function withSortedRows(body: string): unknown {
  try {
    const parts: unknown = JSON.parse(body);
    if (!Array.isArray(parts)) return body;
    return parts.map((part: unknown) => {
      const rows: unknown = Array.isArray(part) ? part[1] : undefined;
      if (!Array.isArray(part) || !Array.isArray(rows)) return part;
      return [part[0], rows.map((row) => JSON.stringify(row)).toSorted(), part[2]];
    });
  } catch {
    // Dovecot 2.3 forgets a comma beside an error.
    return body;
  }
}
