// The table of gates and the list of findings, as `fleet verify` and `fleet status` print them.

import type { Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { printable } from '../../host/words/text.js';
import { durationWords, plural } from '../../host/words/words.js';
import { formatMoment, reportHidden } from '../cli/audit-table.js';
import { noHost } from '../fleet/findings.js';
import type { FleetFinding, FleetStatus, GateRow } from '../fleet/shapes.js';

/** Limit of the hosts that a line names. */
const lackingMax = 10;

const columns: readonly Column<GateRow>[] = [
  {
    name: 'HOST',
    text: ({ host }) => printable(host),
    cellsMin: 10,
    paint: ({ findings }) => (findings > 0 ? 'bad' : undefined),
  },
  { name: 'SEQ', isNumber: true, text: ({ seq }) => String(seq ?? '-') },
  { name: 'SIGNED', isNumber: true, text: ({ signedSeq }) => String(signedSeq ?? '-'), goes: 3 },
  {
    name: 'NEWEST OBJECT (UTC)',
    text: ({ lastSeen }) => (lastSeen === undefined ? 'never' : formatMoment(lastSeen)),
  },
  {
    name: 'DRIFT',
    isNumber: true,
    text: ({ driftMs }) => (driftMs === undefined ? '-' : `${(driftMs / 1000).toFixed(1)} s`),
    goes: 4,
  },
  {
    name: 'WAIT',
    isNumber: true,
    text: ({ waitMs }) => (waitMs === undefined ? '-' : durationWords(waitMs)),
    goes: 5,
  },
  { name: 'PROGRAM', text: ({ program }) => printable(program ?? '-'), cellsMin: 8, goes: 2 },
  { name: 'OPEN', isNumber: true, text: ({ open }) => String(open), goes: 6 },
  { name: 'FINDINGS', isNumber: true, text: ({ findings }) => String(findings) },
  { name: 'DIFFERS', text: ({ differs }) => printable(differs.join(', ')), cellsMin: 10, goes: 1 },
  { name: 'JOURNAL', text: ({ journal }) => journal ?? '-', goes: 7 },
];

/** A row for each gate, then what is not proved of them, then all kept findings. */
export async function printGates(screen: Screen, { gates, findings }: FleetStatus): Promise<void> {
  const table = createTable(columns, screen);
  for (const gate of gates) for (const line of table.add(gate)) await screen.print(line);
  for (const line of table.finish()) await screen.print(line);
  for (const line of gates.flatMap(describeUnproved)) await screen.print(line);
  if (findings.length > 0) await screen.print('');
  for (const finding of findings) await screen.print(screen.paint('bad', formatFinding(finding)));
  reportHidden(screen, table.hidden());
}

export function describeLocks({ locks = [] }: FleetStatus): readonly string[] {
  return locks.map(({ target, since, on, lacking }) => {
    const named = lacking.slice(0, lackingMax).join(', ');
    const more = lacking.length > lackingMax ? `, and ${lacking.length - lackingMax} more` : '';
    const of =
      lacking.length === 0
        ? plural(on, 'host')
        : `${on} of ${plural(on + lacking.length, 'host')}, not ${named}${more}`;
    return printable(`locked since ${since}: ${target}: ${of}`);
  });
}

export function describeVerifiers({ verifiers = [] }: FleetStatus): readonly string[] {
  return verifiers.map(({ name, seq, at }) =>
    printable(
      seq === undefined
        ? `verifier ${name}: no line of it is in the store`
        : `verifier ${name}: line ${seq}, at ${at}`,
    ),
  );
}

function describeUnproved({ host, isKeyless, seq = 0, signedSeq = 0 }: GateRow): readonly string[] {
  const count = seq - signedSeq;
  const are = count === 1 ? 'is' : 'are';
  const some = `${plural(count, 'record')} behind record ${signedSeq} ${are} not proved yet: no signature covers ${count === 1 ? 'it' : 'them'}`;
  const text = isKeyless === true ? 'nothing of it is proved: fleet.yaml lists no key of it' : some;
  return isKeyless === true || count > 0 ? [printable(`${host}: ${text}`)] : [];
}

function formatFinding({ kind, host, seq, text }: FleetFinding): string {
  const place = [...(host === noHost ? [] : [host]), ...(seq === undefined ? [] : [`seq ${seq}`])].join(' ');
  return printable(`${place === '' ? '' : `${place}: `}${kind}: ${text}`);
}

/** `50 hosts, nothing is missing or changed`, or the number and place of the problems. */
export function describeVerdict({ gates, store, findings }: FleetStatus): string {
  const hosts = new Set(gates.map(({ host }) => host)).size;
  if (findings.length === 0)
    return `passed: ${store}, ${plural(hosts, 'host')}: nothing is missing or changed, and every host is there`;
  const bad = new Set(findings.map(({ host }) => host).filter((host) => host !== noHost)).size;
  return `failed: ${store}, ${plural(findings.length, 'finding')}, at ${bad} of ${plural(hosts, 'host')}`;
}
