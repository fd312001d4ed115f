import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, isCode } from '../errors.ts';
import { sha256 } from './digest.ts';
import {
  artifactTypeOf,
  MAX_MANIFEST_SIZE,
  parseIndex,
  parseManifest,
  sniffMediaType,
} from './manifest.ts';
import * as types from './media-type.ts';

const bytesOf = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

const layer = { mediaType: types.DOCKER_LAYER, digest: sha256('layer'), size: 5 };
const config = { mediaType: types.OCI_CONFIG, digest: sha256('config'), size: 6 };
const manifest = { schemaVersion: 2, mediaType: types.OCI_MANIFEST, config, layers: [layer] };
const index = {
  schemaVersion: 2,
  mediaType: types.OCI_INDEX,
  manifests: [{ ...layer, mediaType: types.OCI_MANIFEST }],
};

const refuses = (code: ErrorCode, message: RegExp, run: () => unknown): void => {
  assert.throws(run, (error) => isCode(error, code) && message.test(error.message));
};

test('a manifest keeps what it does not know', () => {
  const document = { ...manifest, 'com.example': { a: [1] }, config: { ...config, data: 'e30=' } };
  assert.deepEqual(parseManifest(bytesOf(document)), document);
});

test('a manifest without a media type gets the one it was announced with, else the OCI one', () => {
  const { mediaType: _, ...bare } = manifest;
  assert.equal(parseManifest(bytesOf(bare)).mediaType, types.OCI_MANIFEST);
  assert.equal(
    parseManifest(bytesOf(bare), types.DOCKER_MANIFEST).mediaType,
    types.DOCKER_MANIFEST,
  );
  assert.equal(sniffMediaType(bytesOf(bare)), types.OCI_MANIFEST);
  assert.equal(sniffMediaType(bytesOf({ ...index, mediaType: '' })), types.OCI_INDEX);
});

test('null is as good as absent, as Go writes it', () => {
  const document = {
    ...manifest,
    annotations: null,
    subject: null,
    layers: [{ ...layer, urls: null }],
  };
  const parsed = parseManifest(bytesOf(document));
  assert.equal(parsed.annotations, undefined);
  assert.equal(parsed.layers[0]!.urls, undefined);
});

test('a list without entries may be null, but not left out', () => {
  assert.deepEqual(parseManifest(bytesOf({ ...manifest, layers: null })).layers, []);
  assert.deepEqual(parseIndex(bytesOf({ ...index, manifests: null })).manifests, []);
  assert.throws(() => parseManifest(bytesOf({ ...manifest, layers: undefined })), /layers/);
});

test('CVE-2021-41190: a document that is a manifest and an index is neither', () => {
  const both = { ...manifest, ...index };
  for (const mediaType of [types.OCI_MANIFEST, types.OCI_INDEX, '']) {
    const document = bytesOf({ ...both, mediaType });
    assert.throws(() => parseManifest(document), { code: 'INVALID_ARGUMENT' });
    assert.throws(() => parseIndex(document), { code: 'INVALID_ARGUMENT' });
  }
  // Go's parser takes fields whatever their case.
  refuses('INVALID_ARGUMENT', /Manifests/, () =>
    parseManifest(bytesOf({ ...manifest, Manifests: [] })),
  );
  refuses('INVALID_ARGUMENT', /Layers/, () => parseManifest(bytesOf({ ...manifest, Layers: [] })));
});

test('a media type that disagrees with the announced one is refused', () => {
  refuses('INVALID_ARGUMENT', /announced/, () =>
    parseManifest(bytesOf(manifest), types.DOCKER_MANIFEST),
  );
  refuses('INVALID_ARGUMENT', /not the type of a manifest/, () => parseManifest(bytesOf(index)));
  refuses('INVALID_ARGUMENT', /not the type of an index/, () => parseIndex(bytesOf(manifest)));
});

test('schema 1 is refused by name', () => {
  const old = { schemaVersion: 1, name: 'x', tag: 'y', fsLayers: [], history: [] };
  const typed = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  refuses('NOT_IMPLEMENTED', /schema 1/, () => parseManifest(bytesOf(old)));
  refuses('NOT_IMPLEMENTED', /schema 1/, () => parseManifest(bytesOf(manifest), typed));
  refuses('NOT_IMPLEMENTED', /schema 1/, () => sniffMediaType(bytesOf(old)));
});

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ['no config', { ...manifest, config: undefined }, /config/],
  ['no layers', { ...manifest, layers: undefined }, /layers/],
  ['layers as an object', { ...manifest, layers: {} }, /layers/],
  ['a negative size', { ...manifest, layers: [{ ...layer, size: -1 }] }, /layers\.0\.size/],
  ['a fractional size', { ...manifest, layers: [{ ...layer, size: 1.5 }] }, /size/],
  [
    'a size beyond what a number can hold',
    { ...manifest, config: { ...config, size: 2 ** 53 } },
    /size/,
  ],
  ['a size as text', { ...manifest, config: { ...config, size: '6' } }, /size/],
  [
    'a digest that is a path',
    { ...manifest, config: { ...config, digest: 'sha256:../../x' } },
    /digest/,
  ],
  [
    'a digest of another algorithm',
    { ...manifest, config: { ...config, digest: `md5:${'0'.repeat(32)}` } },
    /digest/,
  ],
  [
    'a digest in upper case',
    { ...manifest, config: { ...config, digest: config.digest.toUpperCase() } },
    /digest/,
  ],
  ['an empty media type', { ...manifest, config: { ...config, mediaType: '' } }, /mediaType/],
  ['annotations that are not text', { ...manifest, annotations: { a: 1 } }, /annotations/],
  ['another schema version', { ...manifest, schemaVersion: 3 }, /schemaVersion/],
  ['a media type that is not text', { ...manifest, mediaType: 1 }, /mediaType/],
  ['an array', [], /object/],
  ['null', 'null', /object/],
  ['nothing', '', /JSON/],
  ['half a document', '{"schemaVersion":2,', /JSON/],
  ['a field twice', `{"schemaVersion":2,${JSON.stringify(manifest).slice(1)}`, /twice/],
  [
    'a field twice, once in disguise',
    `{"layer\\u0073":[],${JSON.stringify(manifest).slice(1)}`,
    /twice/,
  ],
  ['a field twice in a descriptor', '{"a":[{"size":1,"size":2}]}', /twice/],
  ['a prototype', '{"__proto__":{}}', /not allowed/],
  ['nesting', `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`, /deep/],
  ['nested arrays', `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, /deep/],
];

for (const [what, document, reason] of WRONG)
  test(`a manifest with ${what} is refused`, () => {
    refuses('INVALID_ARGUMENT', reason, () => parseManifest(bytesOf(document)));
  });

test('bytes that are not UTF-8 are refused, and so is a byte order mark', () => {
  const text = Buffer.from(JSON.stringify({ ...manifest, annotations: { a: 'é' } }), 'latin1');
  refuses('INVALID_ARGUMENT', /JSON/, () => parseManifest(text));
  refuses('INVALID_ARGUMENT', /JSON/, () =>
    parseManifest(bytesOf(`\uFEFF${JSON.stringify(manifest)}`)),
  );
});

test('a manifest of more than 4 MiB is refused before it is parsed', () => {
  const large = bytesOf({ ...manifest, annotations: { a: 'x'.repeat(MAX_MANIFEST_SIZE) } });
  refuses('INVALID_ARGUMENT', /larger/, () => parseManifest(large));
});

test('keys that differ in different objects, or look like syntax, are no duplicates', () => {
  const annotations = {
    'a"b': '{"size":1,"size":1}',
    '\\': '',
    'c,{': 'x',
    constructor: 'y',
    A: '',
    a: '',
  };
  assert.deepEqual(parseManifest(bytesOf({ ...manifest, annotations })).annotations, annotations);
});

test('any JSON object without a prototype passes the search for duplicates', () => {
  const value = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 }));
  fc.assert(
    fc.property(value, (extra) => {
      const document = { ...manifest, 'x-extra': JSON.parse(JSON.stringify(extra)) as unknown };
      if (JSON.stringify(document).includes('"__proto__"')) return;
      assert.deepEqual(parseManifest(bytesOf(document)), document);
    }),
  );
});

test('any bytes are a manifest or refused with a code', () => {
  const text = JSON.stringify(manifest);
  const mutated = fc
    .tuple(fc.nat(text.length), fc.nat(8), fc.string({ maxLength: 4 }))
    .map(([at, length, insert]) => text.slice(0, at) + insert + text.slice(at + length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), mutated.map(bytesOf)), (bytes) => {
      try {
        parseManifest(bytes);
      } catch (error) {
        assert.ok(
          isCode(error, 'INVALID_ARGUMENT') || isCode(error, 'NOT_IMPLEMENTED'),
          String(error),
        );
      }
    }),
  );
});

test('what is no image says what it is', () => {
  const of = (extra: object): string | undefined =>
    artifactTypeOf(parseManifest(bytesOf({ ...manifest, ...extra })));
  const empty = { ...config, mediaType: types.OCI_EMPTY };
  assert.equal(of({}), undefined);
  assert.equal(of({ config: { ...config, mediaType: types.DOCKER_CONFIG } }), undefined);
  assert.equal(
    of({ config: empty, artifactType: 'application/spdx+json' }),
    'application/spdx+json',
  );
  assert.equal(of({ config: empty }), types.OCI_EMPTY);
});

test('media types say what they hold', () => {
  const cases: readonly (readonly [string, string | undefined, boolean])[] = [
    ['application/vnd.oci.image.layer.v1.tar', 'none', false],
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip', false],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd', false],
    ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip', true],
    ['application/vnd.docker.image.rootfs.diff.tar', 'none', false],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip', false],
    ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip', true],
    ['application/vnd.oci.image.layer.v1.tar+encrypted', undefined, false],
    ['application/vnd.oci.image.config.v1+json', undefined, false],
  ];
  for (const [type, compression, foreign] of cases) {
    assert.equal(types.compressionOf(type), compression, type);
    assert.equal(types.isLayer(type), compression !== undefined, type);
    assert.equal(types.isForeignLayer(type), foreign, type);
    assert.equal(types.isDocument(type), false, type);
  }
});
