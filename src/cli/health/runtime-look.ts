// Checks the Node of a package or a release archive, which only a newer dovegate updates. Any other Node is updated by its own package
// manager, and is not checked.

import { type Look, ok, warning } from './look.js';

/** Release line -> last day of its maintenance, from the release schedule of Node's project. */
const maintainedUntil: Readonly<Record<string, string>> = {
  22: '2027-04-30',
  24: '2028-04-30',
  26: '2029-04-30',
};
const earlyMs = 60 * 86_400_000;

/** `program`: the path of the running Node. `version`: without `v`. */
export function lookAtRuntime(program: string, version: string, nowMs: number): readonly Look[] {
  if (!program.endsWith('/lib/dovegate/runtime/node')) return [];
  const until = maintainedUntil[version.split('.')[0] ?? ''];
  if (until === undefined) return [ok('runtime', `Node ${version}`)];
  const isNear = nowMs > Date.parse(until) - earlyMs;
  const text = `Node ${version}, maintained until ${until}`;
  return [
    isNear
      ? warning('runtime', text, 'Install a newer dovegate, which brings a newer Node.')
      : ok('runtime', text),
  ];
}
