// `npm run lab -- conformance`: every line by every client to a Dovecot itself and to its twin behind dovegate, where a policy allows
// everything, for each release. Both begin each line with the same mail. Answers are compared byte for byte, after the rules of
// differences.ts.
import { allSeries, commandsOf } from '../../../../src/doveadm/commands/catalog.js';
import type { Lab, Release } from '../../../kit/plain/dovecot-lab.js';
import type { Owner } from '../../../kit/plain/folder.js';
import { authorizationOf } from '../../../kit/plain/raw-http.js';
import type { Skipped } from '../../../kit/plain/skipped.js';
import { openHttpGateway } from '../http-gateway.js';
import { policyFor } from '../http-twins.js';
import { openReleaseShim } from '../release-shim.js';
import { openWorlds, type World, type WorldFacts } from '../twin-worlds.js';
import { type Answer, type Client, cliOf, ownClients, type Side } from './clients.js';
import { comparableAnswer, type Difference, rowOf } from './differences.js';
import { alice, allLines, commandOf, isForMany, type Line, titleOf } from './lines.js';

/** A backend: the real release, to the gate with the minor that another release announces. */
export interface Place {
  readonly release: Release;
  /** Undefined: its own. */
  readonly shown?: number;
}

/** One client at one backend. */
export interface Tally {
  readonly place: Place;
  /** With the minor that is shown, where that is not its own. */
  readonly version: string;
  readonly client: string;
  /** Names of commands that were compared; those that succeeded at least once. */
  readonly commands: Set<string>;
  readonly done: Set<string>;
  answers: number;
  equal: number;
  /** Of the equal ones, those that needed a rule. */
  byRule: number;
  /** Answers that are not equal. */
  readonly differences: Difference[];
}

/** By the key of its row, how many differences it explains; and what none does. */
export function explain({ differences, version, client }: Tally): {
  readonly explained: ReadonlyMap<string, number>;
  readonly unexplained: readonly string[];
} {
  const explained = new Map<string, number>();
  const unexplained: string[] = [];
  for (const difference of differences) {
    const row = rowOf(difference);
    if (row !== undefined) explained.set(row.key, (explained.get(row.key) ?? 0) + 1);
    else {
      const { line, way, direct, gated } = difference;
      const title = `${version}, ${client}: ${titleOf(line)}${way === '' ? '' : ` (${way})`}`;
      unexplained.push(`${title}\n${shownDifference(direct, gated)}`);
    }
  }
  return { explained, unexplained };
}

export interface ConformanceOptions {
  readonly places: readonly Place[];
  /** Releases whose real program asks all of them; the others ask their own. */
  readonly everywhere: readonly Release[];
  readonly lines?: readonly Line[];
  /** Only clients whose name has this text. */
  readonly client?: string | undefined;
  readonly onTally?: (tally: Tally) => void;
}

interface Opened extends WorldFacts {
  readonly place: Place;
  readonly worlds: readonly [World, World];
  readonly sides: readonly [Side, Side];
}

const settings = { '2.3': '\nmail_debug = no\n', '2.4': '\nlog_debug =\n' };
const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

/** A Dovecot and its twin behind a gate. */
async function openPair(owner: Owner, place: Place): Promise<Opened | Skipped> {
  const { release, shown } = place;
  const opened = await openWorlds(owner, release, {
    count: 2,
    settings: (series) => settings[series],
    async fillMore(run) {
      const head = 'Subject: =?utf-8?q?=C3=BC?=\r\nX-Odd: \xfc\ttab\x01\r\n\r\n';
      const bytes = Buffer.concat([
        Buffer.from(head, 'latin1'),
        everyByte,
        Buffer.from('\r\n+\r\n-NOUSER\r\n..\r\n.\r\n'),
      ]);
      await run(alice, ['mailbox create', 'Bytes', 'Large']);
      await run(alice, ['save', '-m', 'Bytes'], bytes);
      await run(
        alice,
        ['save', '-m', 'Large'],
        `Subject: large\r\n\r\n${'0123456789abcdef\r\n'.repeat(60_000)}.\r\n`,
      );
    },
  });
  if ('skip' in opened) return opened;
  const [direct, gated] = opened.worlds;
  if (direct === undefined || gated === undefined) throw new Error('two worlds were asked for');
  const names = [...new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)))];
  const policy = `${policyFor(names)}\n    debug: true\n    logs: full`;
  const shim = shown === undefined ? undefined : await openReleaseShim(owner, gated.lab.unixAuth, shown);
  const { gateway, port, key } = await openHttpGateway(owner, gated.lab, policy, {
    policy,
    // Seven Dovecots share what the machine has, and each starts a process for a connection.
    backend: `connect_timeout: 60s${shim === undefined ? '' : '\n    newer: serve'}`,
    ...(shim !== undefined && { way: 'tcp', port: shim }),
    logLevel: 'info',
    sharedNamespaces: '["shared/"]',
  });
  const folderOf = ({ lab }: World): string => lab.inRoot(lab.folder);
  return {
    ...opened,
    place,
    version: shown === undefined ? opened.version : `${opened.version} as minor ${shown}`,
    worlds: [direct, gated],
    sides: [
      {
        kind: 'direct',
        socket: direct.lab.unixPreauth,
        httpPort: direct.lab.httpPort,
        authorization: authorizationOf.password(direct.lab.password),
        folder: folderOf(direct),
      },
      {
        kind: 'gated',
        socket: gateway.daemon.path('support.sock'),
        httpPort: port,
        authorization: authorizationOf.key(key),
        folder: folderOf(gated),
      },
    ],
  };
}

/** Compares, all releases at a time. */
export async function conform(
  owner: Owner,
  options: ConformanceOptions,
): Promise<readonly Tally[] | Skipped> {
  const { places, everywhere, lines = allLines, client: wanted = '', onTally } = options;
  const pairs: Opened[] = [];
  for (const opened of await Promise.all(places.map((place) => openPair(owner, place)))) {
    if ('skip' in opened) return opened;
    pairs.push(opened);
  }
  const clis = new Map<Release, Lab>(
    pairs.map(({ place: { release }, worlds: [direct] }) => [release, direct.lab]),
  );
  const tallies = new Map<Place, Tally[]>();
  const work = async (pair: Opened): Promise<void> => {
    const {
      place,
      place: { release },
      series,
    } = pair;
    // Programs in a root reach other instances by hard links. The native instance is on another file system, in memory.
    const programs = [...clis].filter(
      ([each]) => each === release || (release !== 'native' && everywhere.includes(each)),
    );
    const found: Tally[] = [];
    tallies.set(place, found);
    for (const client of [
      ...ownClients(series),
      ...programs.map(([each, lab]) => cliOf(lab, each === release)),
    ]) {
      if (!client.name.includes(wanted)) continue;
      const tally = await compareClient(pair, client, lines);
      await client.close?.();
      found.push(tally);
      onTally?.(tally);
    }
  };
  await Promise.all(pairs.map(work));
  return places.flatMap((place) => tallies.get(place) ?? []);
}

async function compareClient(pair: Opened, client: Client, lines: readonly Line[]): Promise<Tally> {
  const { place, version, series, sides, worlds } = pair;
  const tally: Tally = {
    place,
    version,
    client: client.name,
    commands: new Set(),
    done: new Set(),
    answers: 0,
    equal: 0,
    byRule: 0,
    differences: [],
  };
  let isFresh = false;
  for (const line of lines) {
    const command = commandOf(line, series);
    if (command === undefined) continue;
    for (const way of client.ways(line, command)) {
      if (!isFresh) for (const world of worlds) world.restore();
      // An INBOX that is looked at for the first time is made.
      isFresh = command.scope === 'server' || (command.effect === 'read' && !isForMany(line));
      const [direct, gated] = await Promise.all(sides.map((side) => client.ask(side, line, command, way)));
      if (direct === undefined || gated === undefined) throw new Error('there are two sides');
      const difference: Difference = {
        client,
        backend: { version, series },
        line,
        command,
        way,
        direct: comparableAnswer(direct, line),
        gated: comparableAnswer(gated, line),
      };
      tally.commands.add(command.name);
      if (isDone(direct)) tally.done.add(command.name);
      tally.answers += 1;
      if (!isSame(difference.direct, difference.gated)) tally.differences.push(difference);
      else tally.equal += 1;
      if (isSame(difference.direct, difference.gated) && !isSame(direct, gated)) tally.byRule += 1;
    }
  }
  return tally;
}

function isSame(one: Answer, other: Answer): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether the backend carried it out, as this client sees it. */
function isDone(answer: Answer): boolean {
  return (
    answer['exit'] === '0' ||
    answer['rows'] !== undefined ||
    answer['row'] !== undefined ||
    answer['bytes']?.endsWith('\n+\n') === true ||
    answer['body']?.includes('doveadmResponse') === true
  );
}

/** The parts that differ, cut around the first byte that does. */
function shownDifference(direct: Answer, gated: Answer): string {
  const parts = new Set([...Object.keys(direct), ...Object.keys(gated)]);
  return [...parts]
    .filter((part) => direct[part] !== gated[part])
    .map((part) => {
      const [one = '(none)', other = '(none)'] = [direct[part], gated[part]];
      let at = 0;
      while (at < one.length && one[at] === other[at]) at += 1;
      const from = Math.max(0, at - 60);
      const cut = (text: string): string => JSON.stringify(text.slice(from, at + 200));
      return `  ${part} direct ${cut(one)}\n  ${part} gated  ${cut(other)}`;
    })
    .join('\n');
}
