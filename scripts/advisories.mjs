// `npm run lab -- advisories FOLDER [SBOM]`: which known vulnerabilities concern the packages of a bill of materials (default
// dist/sbom.cdx.json), without a network. FOLDER holds records of OSV (https://ossf.github.io/osv-schema) as *.json files, for example the
// unpacked dump of the ecosystem npm that osv.dev publishes. Exit code 1: some do; 64: there is nothing to read.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

/** As semver.org orders versions: -1, 0 or 1. Build metadata does not count. */
export function compareVersions(one, other) {
  const parse = (text) => {
    const [core, ...pre] = text.replace(/\+.*$/, '').split('-');
    return { core: core.split('.').map(Number), pre: pre.length === 0 ? [] : pre.join('-').split('.') };
  };
  const [a, b] = [parse(one), parse(other)];
  for (let at = 0; at < 3; at += 1) {
    const by = Math.sign((a.core[at] ?? 0) - (b.core[at] ?? 0));
    if (by !== 0) return by;
  }
  // A version with a part behind its dash comes before the one without.
  if (a.pre.length === 0 || b.pre.length === 0) return Math.sign(b.pre.length) - Math.sign(a.pre.length);
  for (let at = 0; at < Math.max(a.pre.length, b.pre.length); at += 1) {
    const [left, right] = [a.pre[at], b.pre[at]];
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    if (left === right) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (isNumber && isOtherNumber) return Math.sign(Number(left) - Number(right));
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}

/** Whether a range, a list of events in any order, holds this version. */
function holds({ events = [] }, version) {
  const sorted = events
    .map((event) => Object.entries(event)[0])
    .filter(([kind]) => ['introduced', 'fixed', 'last_affected'].includes(kind))
    .toSorted(([, one], [, other]) => (one === '0' ? -1 : other === '0' ? 1 : compareVersions(one, other)));
  let isAffected = false;
  for (const [kind, at] of sorted) {
    const order = at === '0' ? 1 : compareVersions(version, at);
    if (kind === 'introduced' && order >= 0) isAffected = true;
    if (kind === 'fixed' && order >= 0) isAffected = false;
    if (kind === 'last_affected' && order > 0) isAffected = false;
  }
  return isAffected;
}

/** The packages that a record concerns, each once: `{ id, name, version, fixed, summary }`. A withdrawn record concerns none. */
function findAffected(record, packages) {
  if (record.withdrawn !== undefined) return [];
  const found = (record.affected ?? []).flatMap(({ package: of, ranges = [], versions = [] }) => {
    if (of?.ecosystem !== 'npm') return [];
    const semver = ranges.filter(({ type }) => type === 'SEMVER');
    const fixed = semver.flatMap(({ events = [] }) => events.flatMap((event) => event.fixed ?? []));
    return packages
      .filter(({ name }) => name === of.name)
      .filter(({ version }) => versions.includes(version) || semver.some((range) => holds(range, version)))
      .map(({ name, version }) => ({ id: record.id, name, version, fixed, summary: record.summary ?? '' }));
  });
  return [...new Map(found.map((each) => [`${each.name} ${each.version}`, each])).values()];
}

function main([folder, bom = join(root, 'dist', 'sbom.cdx.json')]) {
  if (folder === undefined || !existsSync(folder) || !statSync(folder).isDirectory()) {
    console.error(
      'usage: npm run lab -- advisories FOLDER [SBOM]      FOLDER: records of OSV as *.json files',
    );
    return 64;
  }
  if (!existsSync(bom)) {
    console.error(`${bom} is not there; npm run build makes it`);
    return 64;
  }
  const { components } = JSON.parse(readFileSync(bom, 'utf8'));
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
  if (files.length === 0) {
    console.error(`${folder} has no *.json file; nothing was checked`);
    return 64;
  }
  // One at a time: a dump has hundreds of thousands.
  const found = files.flatMap((name) =>
    findAffected(JSON.parse(readFileSync(join(folder, name), 'utf8')), components),
  );
  for (const { id, name, version, fixed, summary } of found)
    console.log(`${id}: ${name} ${version}: ${summary} (fixed in ${fixed.join(', ') || 'no version'})`);
  console.log(
    `${files.length} records, ${components.length} packages: ${found.length === 0 ? 'none is concerned' : `${found.length} found`}`,
  );
  return found.length === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exit(main(process.argv.slice(2)));
