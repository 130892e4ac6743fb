// Faults found in the trails, until a person accepts them. Bounded: publishers must not be able to fill the memory, nor hide one finding
// among others of another kind.

import { bounds } from '../../host/bounds/bounds.js';
import type { KeptFinding, MoreFindings } from './saved.js';
import type { FleetFinding, FleetFindingKind } from './shapes.js';

export const noHost = '-';

/** For each kind and host; all are counted. */
const keptMax = bounds.fleetFindings;

export type FoundFinding = Omit<KeptFinding, 'acceptedMs'>;
export type FoundOf = Pick<KeptFinding, 'key' | 'line'>;

interface OfKind {
  readonly host: string;
  readonly kind: FleetFindingKind;
  kept: KeptFinding[];
  more: number;
}

export class Findings {
  readonly #all = new Map<string, OfKind>();
  isReread = false;

  load(kept: readonly KeptFinding[], more: readonly MoreFindings[]): void {
    for (const finding of kept) this.#of(finding.host, finding.kind).kept.push(finding);
    for (const { host, kind, count } of more) this.#of(host, kind).more = count;
  }

  save(): { readonly kept: readonly KeptFinding[]; readonly more: readonly MoreFindings[] } {
    const more: MoreFindings[] = [];
    for (const { host, kind, more: count } of this.#all.values())
      if (count > 0) more.push({ host, kind, count });
    return { kept: [...this.#all.values()].flatMap(({ kept }) => kept), more };
  }

  /** False: it is known, or only counted. */
  add(finding: FoundFinding): boolean {
    const of = this.#of(finding.host, finding.kind);
    if (of.kept.some((one) => this.#isTold(one, finding))) return false;
    if (this.isReread && of.kept.some((one) => isSame(one, finding) && isAsMuch(one, finding))) return false;
    if (of.kept.length >= keptMax) {
      const accepted = of.kept.findIndex(({ acceptedMs }) => acceptedMs !== undefined);
      // Further findings of the same key repeat it.
      const known =
        accepted >= 0
          ? accepted
          : of.kept.findIndex((one, at) =>
              [...of.kept.slice(at + 1), finding].some(
                (later) => one.key !== undefined && later.key === one.key,
              ),
            );
      if (known < 0) {
        of.more += 1;
        return false;
      }
      of.kept.splice(known, 1);
    }
    of.kept.push(finding);
    return true;
  }

  /** It is over by itself, also where it was accepted. One that was only counted stays counted. */
  remove({ host, kind, journal, seq }: Omit<FleetFinding, 'text'>): void {
    const of = this.#of(host, kind);
    of.kept = of.kept.filter((one) => one.journal !== journal || one.seq !== seq);
    // As in a saved state: a kind without a finding has no place among the others.
    if (of.kept.length === 0 && of.more === 0) this.#all.delete(`${host} ${kind}`);
  }

  isKnown(finding: FleetFinding): boolean {
    return (
      this.#all.get(`${finding.host} ${finding.kind}`)?.kept.some((one) => isSame(one, finding)) ?? false
    );
  }

  isAccepted(finding: FleetFinding): boolean {
    const kept = this.#all.get(`${finding.host} ${finding.kind}`)?.kept ?? [];
    return kept.some(
      (one) => one.acceptedMs !== undefined && (isSame(one, finding) || isWithin(one, finding)),
    );
  }

  /** Findings that have not been accepted. */
  standing(): readonly FleetFinding[] {
    const standing: FleetFinding[] = [];
    for (const { host, kind, kept, more } of this.#all.values()) {
      for (const { acceptedMs, key: _, line: _l, ...finding } of kept)
        if (acceptedMs === undefined) standing.push(finding);
      const last = standing.at(-1);
      if (more > 0 && last?.host === host && last.kind === kind) {
        standing[standing.length - 1] = { ...last, text: `${last.text} (and ${more} more of this kind)` };
      }
    }
    return standing;
  }

  accepted(): readonly KeptFinding[] {
    return [...this.#all.values()].flatMap(({ kept }) =>
      kept.filter(({ acceptedMs }) => acceptedMs !== undefined),
    );
  }

  accept(nowMs: number): number {
    let count = 0;
    for (const of of this.#all.values()) {
      count += of.more + of.kept.filter(({ acceptedMs }) => acceptedMs === undefined).length;
      of.more = 0;
      of.kept = of.kept.map((one) => (one.acceptedMs === undefined ? { ...one, acceptedMs: nowMs } : one));
    }
    return count;
  }

  /** For a finding that is evaluated each time and never stored: it counts as known from now on. */
  addAccepted(finding: Omit<KeptFinding, 'acceptedMs'>, nowMs: number): void {
    const of = this.#of(finding.host, finding.kind);
    if (of.kept.length >= keptMax) of.kept.shift();
    of.kept.push({ ...finding, acceptedMs: nowMs });
  }

  #isTold(one: KeptFinding, { key, line, seq = 0 }: FoundFinding): boolean {
    if (line !== undefined) return one.line === line && (one.seq ?? 0) === seq;
    // Of many lines of a key the last ones are kept.
    return this.isReread && key !== undefined && one.key === key && (one.seq ?? 0) >= seq;
  }

  #of(host: string, kind: FleetFindingKind): OfKind {
    const key = `${host} ${kind}`;
    let of = this.#all.get(key);
    if (of === undefined) this.#all.set(key, (of = { host, kind, kept: [], more: 0 }));
    return of;
  }
}

function isSame(one: FleetFinding, other: FleetFinding): boolean {
  return one.journal === other.journal && one.seq === other.seq;
}

/** It says of a later record what was accepted for all that the journal had then. */
function isWithin({ journal, seq = 0, toSeq = 0 }: KeptFinding, other: FleetFinding): boolean {
  return journal === other.journal && other.seq !== undefined && other.seq >= seq && other.seq <= toSeq;
}

/** More records may be missing now than before. */
function isAsMuch(one: FleetFinding, other: FleetFinding): boolean {
  return one.kind !== 'missing' || one.text === other.text;
}
