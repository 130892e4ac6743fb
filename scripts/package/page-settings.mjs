// For an upgrade from a version whose daemon had the page in it (maintainer/postinst). Fails unless the configuration has admin.page.
// Prints what the socket of the page has otherwise than the unit says.
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

const [, , file] = process.argv;
const page = parse(readFileSync(file, 'utf8'))?.admin?.page;
if (!page) process.exit(1);
const { unix, group, mode } = page;
if (/^\/[\w./-]+$/.test(unix) && unix !== '/run/dovegate/page.sock')
  console.log(`ListenStream=\nListenStream=${unix}`);
if (/^[\w.-]+$/.test(group) && group !== 'dovegate-page') console.log(`SocketGroup=${group}`);
if (/^0?[0-7]{3}$/.test(mode)) console.log(`SocketMode=${mode}`);
