// Which requests may come to the page by their headers, and which endpoint a path means.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourcePlace } from '../../../src/host/http/source.js';
import { endpoints } from '../../../src/page/answers/endpoints.js';
import { bearerOf, endpointAt, type PageHeaders, refuseSource } from '../../../src/page/http/page-access.js';

const here: SourcePlace = { hasTls: false, isOwnName: (name) => name === 'gate.example.com' };
const secure: SourcePlace = { ...here, hasTls: true };

function headers(text: Readonly<Record<string, string>>): PageHeaders {
  return Object.fromEntries(Object.entries(text).map(([name, value]) => [name, [value]]));
}

void test('the Host must be a name of ours, or an address', () => {
  const may = (host: string): boolean => refuseSource(here, headers({ host }), true) === undefined;
  const ours = '127.0.0.1:9147 [::1]:9147 192.0.2.7 gate.example.com Gate.Example.Com:443';
  for (const host of ['localhost', 'localhost:9147', 'LOCALHOST:1', ...ours.split(' ')])
    assert.ok(may(host), host);
  const evil = 'evil.example localhost.evil.example 127.0.0.1.evil.example gate.example.com.';
  const odd =
    'gate.example.com@evil.example evil.example#localhost localhost:123456 localhost:80:80 1.2.3.4.5 [::1';
  for (const host of ['', '127.0.0.1:9147, evil.example', ...evil.split(' '), ...odd.split(' ')])
    assert.equal(refuseSource(here, headers({ host }), true), 'wrong-host', host);
  assert.equal(refuseSource(here, {}, true), 'wrong-host');
});

void test('the Origin, where there is one, is that of the page', () => {
  const why = (origin: string, place = here) =>
    refuseSource(place, headers({ host: 'localhost:9147', origin }), true);
  assert.equal(why('http://localhost:9147'), undefined);
  assert.equal(why('https://localhost:9147', secure), undefined);
  const local = 'https://localhost:9147 http://localhost http://localhost:3000 http://127.0.0.1:9147';
  const others = 'null http://evil.example http://localhost:9147.evil.example';
  for (const origin of ['', ...local.split(' '), ...others.split(' ')])
    assert.equal(why(origin), 'wrong-origin', origin);
  assert.equal(why('http://localhost:9147', secure), 'wrong-origin');
});

void test('what the browser says of another site is believed; a visit to a screen may come from anywhere', () => {
  const why = (isApi: boolean, site: string, more: Readonly<Record<string, string>> = {}) =>
    refuseSource(here, headers({ host: 'localhost', 'sec-fetch-site': site, ...more }), isApi);
  const visit = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
  assert.equal(why(true, 'same-origin'), undefined);
  assert.equal(why(true, 'none'), undefined);
  for (const site of ['cross-site', 'same-site', 'something-new', '']) {
    assert.equal(why(true, site), 'cross-site');
    assert.equal(why(true, site, visit), 'cross-site');
    assert.equal(why(false, site), 'cross-site');
    assert.equal(why(false, site, { ...visit, 'sec-fetch-dest': 'iframe' }), 'cross-site');
    assert.equal(why(false, site, visit), undefined);
  }
});

void test('no header that matters comes twice', () => {
  for (const name of ['host', 'origin', 'authorization', 'sec-fetch-site'])
    assert.equal(refuseSource(here, { host: ['localhost'], [name]: ['a', 'a'] }, true), 'malformed', name);
});

void test('a token comes in Authorization', () => {
  const of = (authorization: string) => bearerOf({ authorization: [authorization] });
  assert.equal(of('Bearer abc-_9'), 'abc-_9');
  assert.equal(of('bearer  abc '), 'abc');
  const long = `Bearer ${'a'.repeat(129)}`;
  for (const text of ['', 'Bearer', 'Basic abc', 'Bearer a b', 'Bearer a,b', long, 'xBearer a'])
    assert.equal(of(text), undefined, text);
  assert.equal(bearerOf({ cookie: ['token=abc'] }), undefined);
});

void test('each endpoint is found by its method and path, and by nothing else', () => {
  for (const [endpoint, { route }] of Object.entries(endpoints)) {
    const [method = '', path = ''] = route.split(' ');
    const params = [...path.matchAll(/:\w+/g)].map(() => 'a/b ü');
    const asked = path.replaceAll(/:\w+/g, encodeURIComponent('a/b ü'));
    assert.deepEqual(endpointAt(method, asked), { kind: 'found', endpoint, params });
    const other = method === 'GET' ? 'POST' : 'GET';
    assert.deepEqual(endpointAt(other, asked), { kind: 'method', endpoint, method });
    for (const wrong of [`${asked}/`, `/${asked}`, `${asked}x`, asked.toUpperCase(), `${asked}//`])
      assert.equal(endpointAt(method, wrong)?.kind === 'found' && params.length === 0, false, wrong);
  }
  const broken = '/api/kill/ /api/kill/% /api/kill/%ff /api/backend//drain /api/backend/a/b/drain';
  const none = '/api/__proto__ /api/constructor /';
  for (const path of ['', `/api/kill/${'a'.repeat(513)}`, ...broken.split(' '), ...none.split(' ')])
    assert.equal(endpointAt('POST', path), undefined, path);
});
