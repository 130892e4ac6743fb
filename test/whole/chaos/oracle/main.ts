// The oracle of a chaos run: reads the folder that EVIDENCE.md describes, and says which promise of the gate was broken, and where.
//
//   node --max-old-space-size=6144 build/test/whole/chaos/oracle/main.js FOLDER [--json]
//
// A million commands take some 3 GB; a small run needs no option. Exit code 0: no finding, 1: findings, 64: wrong usage.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createAnswerChecker } from './answers.js';
import { placeWithoutToken, readBackends } from './backend.js';
import type { Series } from './catalog.js';
import { checkFairness } from './fairness.js';
import { createFaults, type Faults } from './faults.js';
import { readClients } from './index-clients.js';
import { readJournal } from './journal.js';
import { createTimeline, parsePolicies } from './judge.js';
import { checkLeaks, checkUnread } from './leaks.js';
import { type Json, object, parseObject, readObjects, text, texts } from './read-lines.js';
import { createReport, type Report } from './report.js';
import { checkSecrets } from './secrets.js';
import { checkStream } from './stream.js';
import {
  checkCheckpoints,
  checkConnections,
  checkLog,
  checkOrder,
  checkRefusals,
  checkStalls,
  checkVerifiers,
} from './totals.js';
import { createTruthChecker } from './truth.js';
import { checkTurns } from './turns.js';

export interface Counts {
  commands: number;
  backendCommands: number;
  admissions: number;
  records: number;
  faults: number;
  messages: number;
  repeatedTokens: number;
  /** Commands that no fault touches: only these show a refusal or a silence that should not be. */
  undisturbed: number;
}

export async function examine(folder: string): Promise<{ report: Report; counts: Counts }> {
  const report = createReport();
  const run = parseObject(textOf(folder, 'run.json')) ?? {};
  const changes = await readObjects(join(folder, 'policy.jsonl'));
  const faultLines = await readObjects(join(folder, 'faults.jsonl'));
  const hmacKey = textOf(folder, 'hmac.key').trim();
  const policies = parsePolicies(run);
  const series = seriesOf(run);
  const index = await readClients(folder, text(run.realm), hmacKey);
  const journal = await readJournal(folder, texts(run.keys), index, report);
  const faults = createFaults(faultLines, backendsOf(run));
  const timeline = createTimeline(changes, startsOf(faults), [...policies.keys()]);

  const setting = { index, faults, timeline, policies, hmacKey, series, report };
  const backends = await readBackends(folder, index, setting);
  placeWithoutToken(backends.withoutToken, index, report);
  const truth = createTruthChecker(setting);
  const answers = createAnswerChecker(index.entries, setting);
  for (const entry of index.entries) {
    truth.check(entry);
    answers.check(entry);
  }
  checkRefusals(index.entries, journal, faults, report);
  checkStalls(index.entries, faults, report);
  checkOrder(index.entries, report);
  checkCheckpoints(journal.chain, faults, report);
  checkConnections(index.entries, object(run.connections), report);
  checkFairness(index.entries, faults, report);
  checkTurns(index.entries, faults, object(run.connections), report);
  const messages = await checkStream(folder, journal.chain, report);
  checkUnread(index.entries, report);
  checkLeaks(await readObjects(join(folder, 'samples.jsonl')), report);
  await checkSecrets(folder, texts(run.secrets), report);
  await checkLog(folder, report);
  checkVerifiers(parseObject(textOf(folder, 'verify.json')), report);
  return {
    report,
    counts: {
      commands: index.entries.length,
      backendCommands: backends.commands,
      admissions: journal.admissions,
      records: journal.chain.records,
      faults: faultLines.length,
      messages,
      repeatedTokens: index.repeated,
      undisturbed: index.entries.filter(
        (one) => !faults.explain(one.begun, Math.min(one.ended, one.begun + 600_000)),
      ).length,
    },
  };
}

function textOf(folder: string, name: string): string {
  const path = join(folder, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function seriesOf(run: Json): Map<string, Series> {
  const named = Object.entries(object(run.series) ?? {});
  return new Map(named.filter((one): one is [string, Series] => one[1] === '2.3' || one[1] === '2.4'));
}

/** A fault at one backend explains nothing at another one. */
function backendsOf(run: Json): Set<string> {
  return new Set([...Object.keys(object(run.series) ?? {}), ...Object.keys(object(run.connections) ?? {})]);
}

/** When the gate was seen to serve again after it was killed. */
function startsOf(faults: Faults): number[] {
  return faults
    .of('kill')
    .map((one) => one.until)
    .toSorted((one, other) => one - other);
}

async function main(args: readonly string[]): Promise<number> {
  const folder = args.find((one) => !one.startsWith('--'));
  if (folder === undefined || !existsSync(join(folder, 'run.json'))) {
    console.error('usage: node build/test/whole/chaos/oracle/main.js FOLDER [--json]; FOLDER holds run.json');
    return 64;
  }
  const { report, counts } = await examine(folder);
  if (args.includes('--json'))
    console.log(JSON.stringify({ findings: report.toJson(), counts, total: report.total() }));
  else {
    for (const line of report.lines()) console.log(line);
    console.log(
      `${counts.commands} commands, ${counts.backendCommands} backend commands, ${counts.admissions} admissions, ` +
        `${counts.records} records, ${counts.messages} messages, ${counts.faults} faults, ` +
        `${counts.undisturbed} commands away from them, ${report.total()} findings`,
    );
    if (counts.repeatedTokens > 0)
      console.log(`${counts.repeatedTokens} commands have the token of another one: they were not compared`);
  }
  return report.total() > 0 ? 1 : 0;
}

const asked = process.argv[1];
if (asked !== undefined && import.meta.url === pathToFileURL(asked).href)
  process.exitCode = await main(process.argv.slice(2));
