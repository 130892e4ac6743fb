// Goal: no bound is dead, unknown to operators or untested. The code uses each value, a test names it, and docs/limits.md has a line with
// its value for each that somebody can meet, or names the setting whose default it is. The mention in a test, as `bounds.KEY` in code or
// comment, says that this test reaches the bound.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { asWritten, bounds } from '../../../src/host/bounds/bounds.js';
import { projectRoot } from '../../kit/plain/root.js';

// From build/test/host/bounds to the project.
const root = projectRoot;
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** A page with each item in one line. */
const joined = (path: string): string => read(path).replaceAll(/\n {2,}/g, ' ');

interface Row {
  readonly key: string;
  readonly value: string;
}

const items = joined('docs/limits.md')
  .split('\n')
  .filter((line) => /^- .*`$/.test(line));

const isOfSettings = (item: string): boolean => item.startsWith('- with a setting: ');

/** The settings that docs/limits.md names in the place of their values. */
const settings = items
  .filter(isOfSettings)
  .flatMap((item) => [...item.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));

/** Of docs/limits.md: `- what (for each): value key`. */
const rows: readonly Row[] = items
  .filter((item) => !isOfSettings(item))
  .map((item) => {
    const found = /^- \S.* \(.+\): ([^`(]+?) `(\w+)`$/.exec(item);
    assert.ok(found !== null, item);
    const [, value = '', key = ''] = found;
    return { key, value };
  });

/** These need no line there: nobody outside of the program sees that they are reached. */
const unseen = new Set(
  `
readAheadPieces strangerPieces refusedStepMs httpLingerMs accountMuteQuestions
accountWaitingPerTurn accountOwnQuestions subUidOwners droppedLineBytes droppedLineMs uncountedLineBytes
httpPieceBytes questionSources 
overdueLinesPerOrigin overdueOrigins heldErrors 
lookupBytes fleetOpen fleetPolicies
fleetRecent fleetGaps fleetLocks fleetAwaited fleetAwaitedForOthers userUidsAgainMs accessHintChars accessApprovals
doorStreamOpens doorStreamMs doorCallMs doorBodyBytes doorBriefBytes doorCallBytes doorKibibyteMs doorListMs
doorStepMs doorWords doorPlaceWords doorNameChars doorTextChars doorCertificates noticeHeadBytes
adminHeadBytes adminHeadFields adminUnreadMs doorConnections doorLists doorStreams fleetAwaitedChains
fleetCheckpointBytes fleetKeys fleetStrangers fleetVerifierKeys storeAnswerMs storeSilentMs storePageBytes
storePages storeWordBytes storeBatchBytes oidcSubChars oidcTokenChars pageHeadFields subUidBytes
outageRequesters receiverFaultChars
`
    .trim()
    .split(/\s+/),
);

/** The form of the code is the bound: no code takes the value. */
const byForm = new Set(['bufferedPercent']);

function filesIn(folder: string, end: string): readonly string[] {
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) return /^(?:src|test)\/bounds$/.test(path) ? [] : filesIn(`${path}/`, end);
    return entry.name.endsWith(end) ? [path] : [];
  });
}

/** The keys that a text names, as `bounds.KEY` or `asWritten.KEY`. */
function keysIn(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:bounds|asWritten)\.([A-Za-z]+)\b/g)].map(([, key = '']) => key);
}

void test('values are bytes, milliseconds or numbers of things', () => {
  assert.equal(bounds.commandLineBytes, 65_536);
  assert.equal(bounds.clientStallMs, 45_000);
  assert.equal(bounds.pageSessionMs, 8 * 3_600_000);
  assert.equal(bounds.logLines, 10_000);
  assert.equal(asWritten.inputMs, '240s');
  for (const [key, value] of Object.entries(bounds)) assert.ok(Number.isSafeInteger(value) && value > 0, key);
});

/** The bounds that somebody can meet. */
const met = Object.entries(asWritten).filter(([key]) => !unseen.has(key));

void test('docs/limits.md has one line for each bound that somebody can meet, with its value, or names its setting', () => {
  const written = (value: string | number): string =>
    String(value).replace(
      /^([\d.]+)([A-Za-z]+)$/,
      (_, number, unit) => `${number} ${unit === 'm' ? 'min' : unit}`,
    );
  const shown = new Map(rows.map(({ key, value }) => [key, value]));
  assert.equal(shown.size, rows.length);
  assert.deepEqual(
    Object.fromEntries(shown),
    Object.fromEntries(met.filter(([key]) => shown.has(key)).map(([key, value]) => [key, written(value)])),
  );
  const known = new Set([...joined('docs/settings.md').matchAll(/^- `([^`]+)`/gm)].map(([, name]) => name));
  const ofSchema = new Set(
    keysIn(read('src/rules/config/schema.ts') + read('src/rules/config/listener-schema.ts')),
  );
  const untold = met.filter(([key]) => !shown.has(key) && !ofSchema.has(key) && key !== 'usersPerLine');
  const unknown = settings.filter((name) => !known.has(name));
  const gone = [...unseen, ...byForm].filter((key) => !Object.hasOwn(asWritten, key));
  assert.deepEqual([unknown, untold, gone], [[], [], []]);
});

void test('src/ uses each value', () => {
  const used = new Set(filesIn('src/', '.ts').flatMap((path) => keysIn(read(path))));
  const unused = Object.keys(asWritten).filter((key) => !used.has(key) && !byForm.has(key));
  assert.deepEqual(unused, []);
});

void test('a test names each bound: the one that reaches it', () => {
  const named = new Set(filesIn('test/', '.test.ts').flatMap((path) => keysIn(read(path))));
  const unnamed = Object.keys(asWritten).filter((key) => !named.has(key));
  assert.deepEqual(unnamed, []);
});
