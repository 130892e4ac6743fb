// Compares what the fleet's stream holds with the journal: every record once, in order, byte for byte. What a gate sent once more after a
// change of leader (`again`) may be there already.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChainSummary } from './chain.js';
import { count, forEachLine, type Json, parseObject, text } from './read-lines.js';
import type { Report } from './report.js';

/** The last records of an orderly stop may never have left. */
const tailMs = 10_000;

export async function checkStream(folder: string, chain: ChainSummary, report: Report): Promise<number> {
  const path = join(folder, 'stream.jsonl');
  if (!existsSync(path)) return 0;
  const wrong = (what: string, where: string): void => report.add('fleet', what, where);
  const seen = new Uint8Array(chain.lastSeq + 2);
  let messages = 0;
  let lastMessage = 0;
  let lastSeq = 0;
  let lastHash = '';

  const takeRecord = (line: string, where: string, isAgain: boolean): void => {
    const record = parseObject(line);
    const seq = count(record?.seq);
    if (record === undefined || seq === undefined) {
      wrong('a line in the stream that is no record', where);
      return;
    }
    const hash = text(record.hash).slice(0, 32);
    const known = chain.hashOf(seq);
    const isOlder = seq < chain.firstSeq;
    if (!isOlder && known === undefined) wrong(`the journal has no record ${seq}`, where);
    else if (!isOlder && known !== hash) wrong(`record ${seq} is another one in the journal`, where);
    else if (!isWhole(line, record)) wrong(`the text of record ${seq} was changed`, where);
    if (isAgain) {
      if (seq <= chain.lastSeq) seen[seq] = 1;
      return;
    }
    if (seen[seq] === 1) wrong(`record ${seq} comes twice`, where);
    else if (lastSeq !== 0 && seq !== lastSeq + 1) wrong(`record ${seq} after ${lastSeq}`, where);
    else if (lastSeq !== 0 && text(record.prev) !== lastHash)
      wrong(`record ${seq} does not follow the record before it`, where);
    if (seq <= chain.lastSeq) seen[seq] = 1;
    lastSeq = Math.max(lastSeq, seq);
    lastHash = text(record.hash);
  };

  const takeMessage = (message: Json): void => {
    const number = count(message.seq) ?? 0;
    const subject = text(message.subject);
    if (subject !== '' && !subject.startsWith('dovegate.audit.')) return;
    messages += 1;
    const where = `stream message ${number}`;
    if (number <= lastMessage) wrong(`message ${number} after ${lastMessage}`, where);
    lastMessage = number;
    const journal = subject.split('.').at(-1) ?? '';
    if (subject !== '' && chain.journal !== '' && journal !== chain.journal)
      wrong(`a message of the journal ${journal}`, where);
    const data = text(message.data);
    for (const line of data.split('\n')) if (line !== '') takeRecord(line, where, message.again === true);
  };

  const take = (line: Buffer): void => {
    const message = parseObject(line);
    if (message !== undefined) takeMessage(message);
  };
  take(await forEachLine(path, take));

  const settled = chain.seqBefore(tailMs);
  let missing = 0;
  for (let seq = chain.firstSeq; seq <= settled; seq += 1) {
    if (seen[seq] === 1) continue;
    missing += 1;
    if (missing <= 20) wrong(`the stream lacks record ${seq}`, `of ${chain.firstSeq} to ${chain.lastSeq}`);
  }
  if (missing > 20) wrong(`the stream lacks ${missing} records in all`, `up to ${settled}`);
  return messages;
}

/** The hash covers the text, so a changed byte shows without the journal's line. */
function isWhole(line: string, record: Json): boolean {
  const tail = `,"hash":"${text(record.hash)}"}`;
  if (!line.endsWith(tail)) return false;
  return (
    createHash('sha256')
      .update(`${line.slice(0, -tail.length)}}`)
      .digest('hex') === record.hash
  );
}
