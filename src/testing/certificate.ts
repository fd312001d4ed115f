import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export interface SelfSigned {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

let made: SelfSigned | undefined;

/** A certificate for 127.0.0.1, 0.0.0.0, ::1 and localhost that nobody vouches for but itself; one per process. */
export function selfSigned(): SelfSigned {
  made ??= make();
  return made;
}

function make(): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from('mica test')))));
  const names = Buffer.concat([
    der(0x82, Buffer.from('localhost')),
    der(0x87, Buffer.from([127, 0, 0, 1])),
    // Reaches this machine as well, but is not taken for loopback.
    der(0x87, Buffer.from([0, 0, 0, 0])),
    der(0x87, Buffer.from([...Array<number>(15).fill(0), 1])),
  ]);
  const extensions = sequence(
    sequence(oid('551d11'), der(0x04, der(0x30, names))),
    sequence(
      oid('551d13'),
      der(0x01, Buffer.from([0xff])),
      der(0x04, sequence(der(0x01, Buffer.from([0xff])))),
    ),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    name,
    sequence(time('20200101000000Z'), time('21200101000000Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  );
  const certificate = sequence(body, ECDSA_SHA256, bits(sign('sha256', body, privateKey)));
  return { cert: pem(certificate), key: exported(privateKey) };
}

/** One value of X.690's distinguished encoding. */
function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, Buffer.concat(parts));
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const time = (text: string): Buffer => der(0x18, Buffer.from(text));
const bits = (content: Uint8Array): Buffer => der(0x03, Buffer.concat([Buffer.from([0]), content]));
const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));

const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

const exported = (key: KeyObject): string =>
  key.export({ type: 'pkcs8', format: 'pem' }).toString();
