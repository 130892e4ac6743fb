// `npm run lab -- conformance`: what clients get through dovegate is what they get from Dovecot itself, for every release that Debian has
// (test/whole/dovecot/conformance/). Writes docs/conformance.md. Exit code 1: a difference that no row explains, or a row that explains
// nothing.
//
//   npm run lab -- conformance                              all releases
//   npm run lab -- conformance --releases "bookworm trixie"     these only, and no page
//   npm run lab -- conformance --client send             clients whose name has this text, and no page
// Needs root and a Debian archive; the releases' roots are kept in $DOVEGATE_LABS, else below the folder for temporary files.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build, install, root } from './setup.mjs';
import { wrappedPage } from './wrap.mjs';

const { values } = parseArgs({
  options: {
    releases: { type: 'string' },
    client: { type: 'string' },
    'no-build': { type: 'boolean' },
  },
});
const begunMs = performance.now();
const seconds = () => ((performance.now() - begunMs) / 1000).toFixed(0);

if (values['no-build'] !== true) {
  install();
  build();
}
const load = (path) =>
  import(pathToFileURL(join(root, 'build', 'test', 'whole', 'dovecot', 'conformance', path)).href);
const { conform, explain } = await load('run.js');
const { pageOf } = await load('page.js');
const { rows } = await load('differences.js');
const { forgotten } = await load('lines.js');

const everywhere = ['bookworm', 'trixie'];
// sid:3 announces minor 3, as 2.4.2 to 2.4.4 do, which no Debian has; sid:5 is newer than any known one.
const all = 'bullseye bookworm bookworm-backports trixie sid:3 sid sid:5';
const places = (values.releases ?? all).split(/\s+/).map((each) => {
  const [release, shown] = each.split(':');
  return { release, ...(shown !== undefined && { shown: Number(shown) }) };
});
const endings = [];
let failures = 0;
const fail = (text) => {
  failures += 1;
  console.log(text);
};

try {
  const tallies = await conform(
    { after: (end) => endings.push(end) },
    {
      places,
      everywhere,
      client: values.client,
      onTally(tally) {
        const { version, client, commands, answers, equal } = tally;
        const { explained, unexplained } = explain(tally);
        const why = [...explained].map(([key, count]) => `${key} ${count}`).join(', ');
        console.log(
          `${seconds()} s  Dovecot ${version}, ${client}: ${commands.size} commands, ${answers} answers, ${equal} equal${why === '' ? '' : `; ${why}`}`,
        );
        for (const each of unexplained) fail(`UNEXPLAINED ${each}`);
      },
    },
  );
  if ('skip' in tallies) fail(tallies.skip);
  else if (values.releases === undefined && values.client === undefined) {
    for (const name of forgotten()) fail(`no line for "${name}"`);
    const used = new Set(tallies.flatMap((tally) => [...explain(tally).explained.keys()]));
    for (const { key } of rows.filter((row) => !used.has(row.key) && !row.key.startsWith('http-')))
      fail(`the row "${key}" explains nothing`);
    if (failures === 0) {
      const page = join(root, 'docs', 'conformance.md');
      const versions = tallies
        .filter(({ place }) => everywhere.includes(place.release))
        .map(({ version }) => version);
      writeFileSync(page, wrappedPage(pageOf(tallies, [...new Set(versions)])));
      spawnSync('npx', ['biome', 'format', '--write', page], { cwd: root, stdio: 'inherit' });
    }
  }
} finally {
  for (const end of endings) await end();
}
console.log(`${seconds()} s, ${failures === 0 ? 'nothing unexplained' : `${failures} failures`}`);
process.exit(failures === 0 ? 0 : 1);
