// Finds circles in a graph: every group of nodes that reach each other.

/** Groups of more than one node, or of one that points at itself; sorted, so that answers do not depend on the order of reading. */
export function findCycles(arrows: ReadonlyMap<string, readonly string[]>): string[][] {
  const reach = new Map([...arrows.keys()].map((node) => [node, reachableFrom(node, arrows)]));
  const cycles = new Map<string, string[]>();
  for (const [node, reached] of reach) {
    if (!reached.has(node)) continue;
    const group = [...reached].filter((other) => reach.get(other)?.has(node) === true).toSorted();
    cycles.set(group.join('\n'), group);
  }
  return [...cycles.values()].toSorted((a, b) => (a.join() < b.join() ? -1 : 1));
}

function reachableFrom(start: string, arrows: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set<string>();
  const waiting = [...(arrows.get(start) ?? [])];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (reached.has(node)) continue;
    reached.add(node);
    waiting.push(...(arrows.get(node) ?? []));
  }
  return reached;
}
