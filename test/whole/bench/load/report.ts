// The report of a comparison: rows with their floors, then tables of this machine's own figures. `--json` prints it as one JSON document
// on stdout, and the text on stderr. `--check FILE` compares the ratios with such a document, and ends with 1 when one is worse by more
// than a tenth; figures that are no ratios depend on the machine and are never compared.
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Measured, type Round, type Spread, spreadOf } from './rounds.js';
import type { Usage } from './usage.js';

type Unit = 'x' | 'us' | 'ms' | 'KiB' | 'MiB';

interface Row extends Spread {
  readonly name: string;
  readonly unit: Unit;
  /** What is asked of it; with `isMost` what it may have at most. */
  readonly floor?: number;
  readonly isMost: boolean;
}

/** Columns by the name of the row. */
type Table = Readonly<Record<string, Readonly<Record<string, number | Usage>>>>;

interface Report {
  readonly rounds: number;
  readonly seconds: number;
  /** What stands on the command line behind ROUNDS and SECONDS. */
  readonly operand: string | undefined;
  row(name: string, spread: Spread, options?: { unit?: Unit; floor?: number; isMost?: boolean }): void;
  /** A row for each candidate: the median of its figure, and what a command cost. */
  table(title: string, unit: string, measured: readonly Round[]): void;
  note(text: string): void;
  /** Prints everything; sets the exit code when `--check` found a loss. */
  finish(): void;
}

interface Comparison {
  readonly name: string;
  readonly verdict: 'ok' | 'WORSE' | 'MISSING';
  readonly was: number;
  readonly is: number;
}

const worseMax = 0.1;

/** What became of each recorded ratio. A ratio that is not in the run cannot be compared, which is a failure, too. */
function compareRatios(recorded: readonly Row[], run: readonly Row[]): readonly Comparison[] {
  return recorded.flatMap(({ name, unit, median: was, isMost }): Comparison[] => {
    if (unit !== 'x') return [];
    const is = run.find((row) => row.name === name)?.median ?? Number.NaN;
    if (Number.isNaN(is)) return [{ name, verdict: 'MISSING', was, is }];
    const isWorse = isMost ? is > was * (1 + worseMax) : is < was * (1 - worseMax);
    return [{ name, verdict: isWorse ? 'WORSE' : 'ok', was, is }];
  });
}

/** The rows of a document that `--json` printed; what npm may have printed before it is skipped. */
function parseDocument(text: string, bench: string): readonly Row[] {
  try {
    const document: unknown = JSON.parse(text.slice(text.indexOf('{')));
    if (typeof document === 'object' && document !== null && Reflect.get(document, 'bench') === bench) {
      const rows: unknown = Reflect.get(document, 'rows');
      if (Array.isArray(rows) && rows.every(isRow)) return rows;
    }
  } catch {
    // Not JSON.
  }
  throw new Error(`--check: the file was not made by \`npm run bench -- ${bench} --json\``);
}

function isRow(value: unknown): value is Row {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'isMost' in value &&
    'median' in value &&
    typeof value.median === 'number'
  );
}

/**
 * Reads ROUNDS, SECONDS, `--quick` (one round), `--json` and `--check` from the command line, and a recorded run before anything is
 * measured.
 */
export function openReport(bench: string, defaults: { rounds: number; seconds: number }): Report {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean' }, check: { type: 'string' }, quick: { type: 'boolean' } },
  });
  // npm runs scripts in the project's folder.
  const file = values.check === undefined ? undefined : resolve(process.env['INIT_CWD'] ?? '.', values.check);
  const recorded = file === undefined ? [] : parseDocument(readFileSync(file, 'utf8'), bench);
  const rounds = Number(positionals[0] ?? (values.quick === true ? 1 : defaults.rounds));
  const seconds = Number(positionals[1] ?? defaults.seconds);
  const print = values.json === true ? console.error : console.log;
  const rows: Row[] = [];
  const tables: Record<string, Table> = {};
  const notes: string[] = [];
  const loadBefore = loadavg()[0];
  printMachine('before', print);
  return {
    rounds,
    seconds,
    operand: positionals[2],
    row: (name, spread, { unit = 'x', isMost = false, floor } = {}) =>
      void rows.push({ name, unit, ...spread, isMost, ...(floor !== undefined && { floor }) }),
    table: (title, unit, measured) => {
      tables[title] = tableOf(unit, measured);
    },
    note: (text) => void notes.push(text),
    finish() {
      printMachine('after', print);
      print(`${rounds} rounds of ${seconds} s: the median (least to most)\n`);
      for (const row of rows) print(formatRow(row));
      for (const [title, table] of Object.entries(tables)) print(`\n${title}\n${formatTable(table)}`);
      if (notes.length > 0) print(`\n${notes.join('\n')}`);
      if (values.json === true) {
        const machine = { node: process.version, cpu: cpus()[0]?.model.trim(), cpus: cpus().length };
        const load = [loadBefore, loadavg()[0]];
        const document = { bench, ...machine, load, rounds, seconds, rows, tables, notes };
        console.log(JSON.stringify(document, undefined, 2));
      }
      if (file === undefined) return;
      const compared = compareRatios(recorded, rows);
      print(`\nratios beside those in ${file}; WORSE: by more than ${worseMax * 100} %`);
      for (const one of compared) print(formatComparison(one));
      if (compared.some(({ verdict }) => verdict !== 'ok')) process.exitCode = 1;
    },
  };
}

/** A line of a measurement that compares nothing. */
export function say(what: string, figures: string): void {
  console.log(`${what.padEnd(34)} ${figures}`);
}

/** The machine, and how much it has to do now. */
function printMachine(when: string, print: (text: string) => void): void {
  const [one = 0, five = 0] = loadavg();
  const processor = cpus()[0]?.model.trim() ?? 'unknown';
  print(
    `${when}: load ${one.toFixed(1)} over 1 min, ${five.toFixed(1)} over 5; ${cpus().length} x ${processor}, Node ${process.version}`,
  );
}

/** `held    default: short-lived clients ...   8.10 x  (7.20 to 9.00; at least 5 x)`. */
function formatRow({ name, unit, median, from, to, floor, isMost }: Row): string {
  const show = (value: number): string => value.toFixed(unit === 'x' ? 2 : unit === 'KiB' ? 1 : 0);
  const isHeld = floor === undefined || (isMost ? median <= floor : median >= floor);
  const verdict = floor === undefined ? '' : isHeld ? 'held' : 'MISSED';
  const bound = floor === undefined ? '' : `; ${isMost ? 'at most' : 'at least'} ${floor} ${unit}`;
  return `${verdict.padEnd(8)}${name.padEnd(66)} ${show(median).padStart(6)} ${unit.padEnd(3)} (${show(from)} to ${show(to)}${bound})`;
}

function formatComparison({ name, verdict, was, is }: Comparison): string {
  const now = verdict === 'MISSING' ? 'not in this run' : `${is.toFixed(2)} x`;
  const change =
    verdict === 'MISSING' ? '' : `, ${is < was ? '' : '+'}${((is / was - 1) * 100).toFixed(0)} %`;
  return `${verdict.padEnd(8)}${name.padEnd(66)} ${now.padStart(8)} (was ${was.toFixed(2)} x${change})`;
}

function tableOf(unit: string, measured: readonly Round[]): Table {
  const names = Object.keys(measured[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const all = measured.flatMap((round) => round[name] ?? []);
      const middle = (of: (one: Measured) => number): number => spreadOf(all.map(of)).median;
      const row: Record<string, number | Usage> = { [unit]: middle(({ figure }) => figure) };
      let kernel = 0;
      for (const [column, cost] of Object.entries(all[0]?.costs ?? {})) {
        const part = (key: keyof Usage): number =>
          middle(({ costs }) => {
            const of = costs[column];
            return typeof of === 'object' ? of[key] : (of ?? Number.NaN);
          });
        row[column] =
          typeof cost === 'number'
            ? part('us')
            : { us: part('us'), kernelUs: part('kernelUs'), switches: part('switches') };
        if (typeof cost === 'object') kernel += part('kernelUs');
      }
      if (kernel > 0) row['kernel'] = kernel;
      return [name, row];
    }),
  );
}

/** A usage is `1160 (12.1)`: microseconds of processor time and context switches. */
function formatTable(table: Table): string {
  const show = (value: number | Usage | undefined): string => {
    if (value === undefined) return '';
    if (typeof value === 'number') return Number.isNaN(value) ? '-' : value.toFixed(0);
    const switches = Number.isNaN(value.switches) ? '-' : value.switches.toFixed(1);
    return Number.isNaN(value.us) ? '-' : `${value.us.toFixed(0)} (${switches})`;
  };
  const named = new Set(Object.values(table).flatMap((row) => Object.keys(row)));
  const columns = [...named]
    .filter((column) => column !== 'kernel')
    .concat(named.has('kernel') ? 'kernel' : []);
  const lines = Object.entries(table).map(
    ([name, row]) =>
      `  ${name.padEnd(44)}${columns.map((column) => show(row[column]).padStart(15)).join('')}`,
  );
  return [`  ${''.padEnd(44)}${columns.map((column) => column.padStart(15)).join('')}`, ...lines].join('\n');
}
