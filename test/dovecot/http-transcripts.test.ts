// Goal: the answers in test/vectors/http are what real servers answer.
// What must not happen: a test that compares dovegate with answers that no server gives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lab, openLab } from '../kit/dovecot-lab.js';
import { httpTranscripts, recordedReleaseOf, transcriptBytes } from '../kit/http-vectors.js';
import { openRawClient } from '../kit/raw-client.js';
import { authorizationOf, HttpCut, openRawHttp } from '../kit/raw-http.js';
import { alice, labTestMs, releasesAsked } from './real-gateway.js';

for (const release of releasesAsked()) {
  test(`Dovecot ${release} answers the captured requests as captured`, { timeout: labTestMs }, async (t) => {
    const lab = await openLab(t, release);
    if ('skip' in lab) return t.skip(lab.skip);
    const recorded = recordedReleaseOf(lab.version);
    if (recorded === undefined) return t.skip(`no answers of ${lab.version} were captured`);
    await removeBig(lab);
    const transcripts = httpTranscripts();
    assert.equal(transcripts.length, 78);
    for (const transcript of transcripts) {
      const request = transcriptBytes(transcript, authorizationOf.password(lab.password));
      const isHead = transcript.head.startsWith('HEAD ');
      const text = await answerText(lab.httpPort, request, isHead);
      const expected: string | null = transcript.answers[recorded];
      assert.deepEqual(comparable(text, lab), comparable(expected ?? '', lab), transcript.name);
    }
  });
}

/** The captures were made without it. */
async function removeBig(lab: Lab): Promise<void> {
  const client = await openRawClient({ path: lab.unixPreauth, minor: 2 });
  client.sendCommand({ user: alice, fields: ['mailbox delete', '-s', 'Big'] });
  assert.equal((await client.readReply()).status, '+');
  client.close();
}

/** Everything up to the end of the connection, which Dovecot closes after each answer. */
async function answerText(port: number, request: Buffer, isHead: boolean): Promise<string> {
  const client = await openRawHttp({ port });
  try {
    client.write(request).catch(() => undefined);
    const answer = await client.readAnswer({ isHead });
    const length = answer.header('content-length');
    if (!isHead) assert.equal(answer.body.length, Number(length));
    await client.readEnd();
    return client.received().toString();
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
  // The length changes with the folder; it was compared with the body.
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
