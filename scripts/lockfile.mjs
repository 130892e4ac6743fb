// `npm run lab -- lockfile`: makes the lockfile complete after dependencies changed.
//
// Tools with compiled parts name one optional package for each platform. A registry mirror that holds only the platforms
// of its users makes npm leave the others out of the lockfile, and `npm ci` then refuses it everywhere. This writes the
// missing entries: version and platform, without a digest, since there was nothing to take it from. Only development
// tools may need that; a package of the program itself without a digest is an error.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

const path = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));
const systems = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'openharmony',
  'win32',
  'openbsd',
  'netbsd',
  'sunos',
  'aix',
];
const processors = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el'];

/** What the name of a platform package says. */
function platformOf(name) {
  const words = name.split(/[-/]/);
  const os = systems.find((word) => words.includes(word));
  const cpu = processors.find((word) => words.includes(word));
  if (os === undefined || cpu === undefined) return undefined;
  const libc = /musl/.test(name) ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined;
  return { os: [os], cpu: [cpu], ...(libc === undefined || os !== 'linux' ? {} : { libc: [libc] }) };
}

let added = 0;
for (const [place, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const wanted = `node_modules/${name}`;
    if (lock.packages[wanted] !== undefined) continue;
    const platform = platformOf(name);
    if (platform === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
      console.error(
        `${place}: the optional package ${name}@${version} is not in the lockfile and names no platform`,
      );
      process.exit(1);
    }
    if (entry.dev !== true) {
      console.error(
        `${place}: the program itself would need ${name}@${version}, for which there is no digest`,
      );
      process.exit(1);
    }
    lock.packages[wanted] = { version, ...platform, dev: true, optional: true };
    added += 1;
  }
}
const names = Object.keys(lock.packages).toSorted((one, other) => (one < other ? -1 : 1));
lock.packages = Object.fromEntries(names.map((name) => [name, lock.packages[name]]));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} entries added`);
