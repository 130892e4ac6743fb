// Faults found in the trails, until a person accepts them. Bounded: publishers must not be able to fill the memory, nor hide one finding
// among others of another kind, or among those that anybody with the credential of the host can cause.

import { bounds } from '../../host/bounds/bounds.js';
import type { KeptFinding, MoreFindings } from './saved.js';
import type { FleetFinding } from './shapes.js';

export const noHost = '-';

/** For each kind and host, separately for findings that a signature of the host proves, and for others. */
const keptMax = bounds.fleetFindings;

/** `storedMs`: of the block that shows it. */
export type FoundFinding = Omit<KeptFinding, 'acceptedMs'> & { readonly storedMs?: number };
export type FoundIn = Pick<FoundFinding, 'line' | 'storedMs'>;

type Place = Pick<KeptFinding, 'host' | 'kind' | 'isProved'>;

interface OfKind extends Place {
  kept: KeptFinding[];
  hasMore: boolean;
  /** Blocks that were stored until then show nothing new: more findings were accepted than are kept. 0: none. */
  allMs: number;
}

export class Findings {
  readonly #all = new Map<string, OfKind>();
  isReread = false;

  load(kept: readonly KeptFinding[], more: readonly MoreFindings[]): void {
    for (const finding of kept) this.#of(finding).kept.push(finding);
    for (const { hasMore, allMs, ...place } of more) Object.assign(this.#of(place), { hasMore, allMs });
  }

  save(): { readonly kept: readonly KeptFinding[]; readonly more: readonly MoreFindings[] } {
    const all = [...this.#all.values()];
    const more = all
      .filter(({ hasMore, allMs }) => hasMore || allMs > 0)
      .map(({ hasMore, allMs, ...of }) => ({ ...placeOf(of), hasMore, allMs }));
    return { kept: all.flatMap(({ kept }) => kept), more };
  }

  /** False: it is known, or there are too many. */
  add({ storedMs = Infinity, ...finding }: FoundFinding): boolean {
    const of = this.#of(finding);
    if (storedMs <= of.allMs) return false;
    if (of.kept.some((one) => this.#isTold(one, finding))) return false;
    const isKnown = of.kept.some((one) => isStill(one, { storedMs, ...finding }) && isAsMuch(one, finding));
    if (this.isReread && (isKnown || this.isCut(finding))) return false;
    if (of.kept.length >= keptMax) {
      const accepted = of.kept.findIndex(({ acceptedMs }) => acceptedMs !== undefined);
      // A later finding with the same key makes an earlier one superfluous.
      const known =
        accepted >= 0
          ? accepted
          : of.kept.findIndex((one, at) =>
              [...of.kept.slice(at + 1), finding].some(
                (later) => one.key !== undefined && later.key === one.key,
              ),
            );
      if (known < 0) {
        of.hasMore = true;
        return false;
      }
      of.kept.splice(known, 1);
    }
    of.kept.push(finding);
    return true;
  }

  /** Removes a finding that ended by itself, even if it was accepted. */
  remove(over: Omit<FoundFinding, 'text'>): void {
    const of = this.#of(over);
    of.kept = of.kept.filter((one) => !isSame(one, over));
    // As after a restart: the saved state has no entry for a kind without findings.
    if (of.kept.length === 0 && !of.hasMore && of.allMs === 0) this.#all.delete(keyOf(over));
  }

  isKnown(finding: FoundFinding): boolean {
    return this.#all.get(keyOf(finding))?.kept.some((one) => isStill(one, finding)) ?? false;
  }

  /** With `storedMs`, also if a finding of this kind in the journal was accepted after the block was stored. */
  isAccepted(finding: FoundFinding): boolean {
    const { journal, storedMs = Infinity } = finding;
    const { kept = [], allMs = 0 } = this.#all.get(keyOf(finding)) ?? {};
    const isOf = (one: KeptFinding): boolean =>
      one.acceptedMs !== undefined &&
      (isSame(one, finding) || (one.journal === journal && storedMs <= one.acceptedMs));
    return storedMs <= allMs || kept.some(isOf);
  }

  /** Whether the records are missing because the store has lost them, which was accepted. */
  isCut(finding: FoundFinding): boolean {
    const cut = { ...finding, kind: 'cut-in-store', isProved: undefined } as const;
    return finding.kind === 'missing' && this.isAccepted(cut);
  }

  /** Findings that have not been accepted. */
  standing(): readonly FleetFinding[] {
    const standing: FleetFinding[] = [];
    for (const { kept, hasMore } of this.#all.values()) {
      const all = kept.filter(({ acceptedMs }) => acceptedMs === undefined);
      for (const [at, { acceptedMs: _, key: _k, line: _l, isProved: _p, ...finding }] of all.entries()) {
        const isLast = hasMore && at === all.length - 1;
        standing.push(isLast ? { ...finding, text: `${finding.text} (and more of this kind)` } : finding);
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
      count += of.kept.filter(({ acceptedMs }) => acceptedMs === undefined).length;
      if (of.hasMore && of.isProved === undefined) of.allMs = nowMs;
      of.hasMore = false;
      of.kept = of.kept.map((one) => (one.acceptedMs === undefined ? { ...one, acceptedMs: nowMs } : one));
    }
    return count;
  }

  /** For a finding that is evaluated each time and never stored: it counts as known from now on. */
  addAccepted(finding: Omit<KeptFinding, 'acceptedMs'>, nowMs: number): void {
    const of = this.#of(finding);
    if (of.kept.length >= keptMax) {
      of.kept.shift();
      of.allMs = nowMs;
    }
    of.kept.push({ ...finding, acceptedMs: nowMs });
  }

  #isTold(one: KeptFinding, { key, line, seq = 0 }: FoundFinding): boolean {
    if (line !== undefined && one.line === line && (one.seq ?? 0) === seq) return true;
    // Of many lines of a key the last ones are kept.
    return key !== undefined && one.key === key && (one.seq ?? 0) >= seq;
  }

  #of(finding: Place): OfKind {
    const place = placeOf(finding);
    let of = this.#all.get(keyOf(place));
    if (of === undefined)
      this.#all.set(keyOf(place), (of = { ...place, kept: [], hasMore: false, allMs: 0 }));
    return of;
  }
}

function placeOf({ host, kind, isProved }: Place): Place {
  return { host, kind, ...(isProved && { isProved }) };
}

function keyOf({ host, kind, isProved }: Place): string {
  return `${host} ${kind} ${isProved ? '' : '?'}`;
}

type Found = Pick<FleetFinding, 'journal' | 'seq'>;

function isSame(one: Found, other: Found): boolean {
  return one.journal === other.journal && one.seq === other.seq;
}

/** An object that came to the same place after it was accepted is another finding. */
function isStill(one: KeptFinding, other: FoundFinding): boolean {
  const { storedMs = Infinity } = other;
  return isSame(one, other) && (storedMs === Infinity || storedMs <= (one.acceptedMs ?? Infinity));
}

/** More records may be missing now than before. */
function isAsMuch(one: FleetFinding, other: FleetFinding): boolean {
  return one.kind !== 'missing' || one.text === other.text;
}
