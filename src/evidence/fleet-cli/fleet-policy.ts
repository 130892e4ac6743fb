// `dovegate audit fleet policy HOST`: what a bucket must let a gate do, or the verifier, as a bucket policy of S3.

import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines } from '../../host/words/text.js';
import { isHostWord } from '../../rules/config/fleet-names.js';
import { readFleetSettings } from '../cli/fleet-places.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';
import { verifiersFolder } from '../store/names.js';

export interface PolicyFlags {
  /** The principal of the policy, as the server writes it. */
  readonly principal: string;
  /** The bucket is at AWS itself, which has conditions that other servers do not know. */
  readonly aws: boolean;
}

/** `host`: the word of a gate, or the name of this verifier. Exit code 0. Throws a CommandFault. */
export async function fleetPolicy(
  screen: Screen,
  config: string,
  host: string,
  { principal, aws }: PolicyFlags,
): Promise<number> {
  const settings = readFleetSettings(config, screen, 'state');
  const { place, name } = settings;
  if (place.kind === 'folder')
    throw new CommandFault(
      exitCodes.usage,
      `${place.path} is a folder: its server says who may write where; let ${host} write below ${settings.prefix}/${host} alone`,
    );
  if (!isHostWord(host)) throw new CommandFault(exitCodes.usage, `"${host}" is no word for a host`);
  const isListed = settings.hosts.has(host);
  const isVerifier = host === name && !isListed;
  if (!isListed && !isVerifier)
    screen.complain(
      `dovegate: "${host}" is not in "hosts" yet, and this verifier is called "${name}": this policy is for a gate`,
    );
  const bucket = new URL(place.url).pathname.slice(1);
  await screen.print(formatJsonLines(policyOf(settings, bucket, host, { principal, aws, isVerifier })));
  await screen.flush();
  return exitCodes.ok;
}

function policyOf(
  { prefix }: FleetSettings,
  bucket: string,
  host: string,
  { principal, aws, isVerifier }: PolicyFlags & { readonly isVerifier: boolean },
) {
  const arn = (path: string): string => `arn:aws:s3:::${bucket}${path}`;
  const allow = (actions: readonly string[], resource: string, more: object = {}) => ({
    Effect: 'Allow',
    Principal: { AWS: [principal] },
    Action: actions,
    Resource: [arn(resource)],
    ...more,
  });
  const own = isVerifier ? `${prefix}/${verifiersFolder}${host}/*` : `${prefix}/${host}/*`;
  const listed = isVerifier ? `${prefix}/*` : own;
  const statements: object[] = [
    allow(['s3:PutObject'], `/${own}`),
    allow(isVerifier ? ['s3:GetObject', 's3:GetObjectVersion'] : ['s3:GetObject'], `/${listed}`),
    allow(isVerifier ? ['s3:ListBucket', 's3:ListBucketVersions'] : ['s3:ListBucket'], '', {
      Condition: { StringLike: { 's3:prefix': [listed] } },
    }),
  ];
  if (isVerifier)
    statements.push(allow(['s3:GetBucketVersioning', 's3:GetBucketObjectLockConfiguration'], ''));
  const deny = (actions: readonly string[], more?: object) =>
    statements.push({ ...allow(actions, `/${own}`, more), Effect: 'Deny' });
  // On Ceph the user who puts an object owns it, and an owner may lock and publish it.
  deny(['s3:PutObjectRetention', 's3:PutObjectLegalHold', 's3:PutObjectAcl', 's3:PutObjectVersionAcl']);
  if (aws) deny(['s3:PutObject'], { Condition: { Null: { 's3:if-none-match': 'true' } } });
  return { Version: '2012-10-17', Statement: statements };
}
