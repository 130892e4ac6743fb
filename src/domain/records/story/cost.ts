// What an outage or a drain has cost, as its records have it.

/** The `reason` of a record that a backend is down or stuck: no connection to it was opened in this run. */
export const notUpBefore = 'not up since the start';

const requestersNamed = 20;

/** Whose commands an outage or a drain has cost most, as its records have it in `args`. */
export function requesterWords(by: ReadonlyMap<string, number>): readonly string[] {
  return mostOf(by).map(([name, count]) => `requester=${name} ${count}`);
}

export function mostOf(by: ReadonlyMap<string, number>): readonly (readonly [name: string, count: number])[] {
  return [...by].toSorted(([, one], [, other]) => other - one).slice(0, requestersNamed);
}
