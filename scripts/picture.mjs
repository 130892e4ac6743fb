// `npm run lab -- picture`: docs/terminal.svg, the terminal picture of README, from a real run of the demo. One file for light and
// dark: its colors follow the reader's scheme.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, root } from './setup.mjs';

build();
const run = spawnSync(process.execPath, [join(root, 'build/scripts/demo/main.js')], {
  env: { ...process.env, FORCE_COLOR: '1', NO_COLOR: undefined },
  encoding: 'utf8',
});
if (run.status !== 0) throw new Error(`the demo ended with ${run.status}\n${run.stderr}`);

const columns = 104;
const cell = { width: 8.1, height: 19 };
const classes = { 1: 'b', 31: 'r', 32: 'g', 33: 'y', 36: 'c' };

/** Pieces of equal style; a line that is too wide goes on in the next one. */
function linesOf(text) {
  const lines = [];
  for (const line of text.trim().split('\n')) {
    let pieces = [];
    let used = 0;
    const styles = new Set();
    for (const part of line.split(/(\u001b\[\d+m)/)) {
      const code = /^\u001b\[(\d+)m$/.exec(part)?.[1];
      if (code === '22') styles.delete('b');
      else if (code === '39') for (const name of 'rgyc') styles.delete(name);
      else if (code !== undefined) styles.add(classes[code]);
      else
        for (let rest = part; rest !== ''; ) {
          if (used === columns) {
            lines.push(pieces);
            pieces = [{ styles: '', text: '      ' }];
            used = 6;
          }
          const room = columns - used;
          const space = rest.length > room ? rest.lastIndexOf(' ', room) : -1;
          const piece = rest.slice(0, space > 0 ? space + 1 : room).slice(0, room);
          pieces.push({ styles: [...styles].join(' '), text: piece });
          used += piece.length;
          rest = rest.slice(piece.length);
          if (rest !== '') used = columns;
        }
    }
    lines.push(pieces);
  }
  return lines;
}

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const whole = run.stdout.slice(0, run.stdout.indexOf('\nTry next'));
const lines = linesOf(whole);
const [width, height] = [columns * cell.width + 32, lines.length * cell.height + 32];
const body = lines.map((pieces, at) => {
  const spans = pieces.map(({ styles, text }) => `<tspan class="${styles}">${escape(text)}</tspan>`);
  return `<text x="16" y="${(at + 1) * cell.height + 10}">${spans.join('')}</text>`;
});
writeFileSync(
  join(root, 'docs', 'terminal.svg'),
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">
<title>A team's commands are served or denied, one is asked for and approved, and a forged journal is found</title>
<style>
svg { background: #ffffff } rect { fill: #ffffff; stroke: #d0d7de }
text { font: 13.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; fill: #1f2328 }
.b { font-weight: 600 } .r { fill: #b3261e } .g { fill: #1a7f37 } .y { fill: #8a5a00 } .c { fill: #0a5fb4 }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117 } rect { fill: #0d1117; stroke: #30363d } text { fill: #e6edf3 }
.r { fill: #ff7b72 } .g { fill: #56d364 } .y { fill: #e3b341 } .c { fill: #79c0ff }
}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${body.join('\n')}
</svg>
`,
);
