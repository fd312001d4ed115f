import type { LayerChanges } from '../../../explain/changes.ts';
import type { ListedChange } from '../../../layer/diff/change.ts';
import type { StoredImage, StoredLayer } from '../../../engine/stored-image.ts';
import { imageName, shortId } from '../name.ts';
import { size } from '../quantity.ts';
import { type Column, table } from '../table.ts';

/** What `mica layers` says about one layer. */
export interface LayerReport {
  /** Counted from 1, the base. */
  readonly layer: number;
  readonly stored: StoredLayer;
  readonly changes: LayerChanges;
  readonly createdBy: string | undefined;
  /** Other images that have it. */
  readonly sharedWith: readonly StoredImage[];
}

const LAYOUT: readonly Column[] = [
  { head: 'LAYER', right: true },
  { head: 'DIFF ID' },
  { head: 'DIGEST' },
  { head: 'COMPRESSED', right: true },
  { head: 'UNPACKED', right: true },
  { head: 'ADDED', right: true },
  { head: 'CHANGED', right: true },
  { head: 'DELETED', right: true },
  { head: 'SHARED WITH' },
  { head: 'CREATED BY', flexible: true },
];

/** Other images named in a row; of more it says how many. */
const MAX_NAMES = 2;

/** What a container has on top of its image's layers. */
export interface WritableLayer {
  readonly container: string;
  /** On disk, in bytes. */
  readonly size: number;
  readonly changes: readonly ListedChange[];
}

/** A line a layer, base first; that of a container last. */
export const renderLayers = (
  reports: readonly LayerReport[],
  writable: WritableLayer | undefined,
  { trunc, columns }: { readonly trunc: boolean; readonly columns?: number | undefined },
): string =>
  table(
    LAYOUT,
    [
      ...reports.map((report) => cells(report, trunc)),
      ...(writable ? [writableCells(writable)] : []),
    ],
    trunc ? columns : undefined,
  );

function cells(report: LayerReport, trunc: boolean): string[] {
  const { layer, stored, changes, createdBy, sharedWith } = report;
  const command = createdBy ?? '';
  return [
    String(layer),
    trunc ? shortId(stored.diffId) : stored.diffId,
    trunc ? shortId(stored.descriptor.digest) : stored.descriptor.digest,
    size(stored.descriptor.size),
    size(stored.bytes),
    String(changes.added),
    String(changes.changed),
    String(changes.deleted),
    namesOf(sharedWith, trunc ? MAX_NAMES : Infinity),
    command.replace(/^\/bin\/sh -c #\(nop\)\s+/, '').trim(),
  ];
}

const counted = ({ changes }: WritableLayer, kind: ListedChange['kind']): number =>
  changes.filter((change) => change.kind === kind).length;

const writableCells = (layer: WritableLayer): string[] => [
  '-',
  '-',
  '-',
  '-',
  size(layer.size),
  String(counted(layer, 'added')),
  String(counted(layer, 'modified')),
  String(counted(layer, 'deleted')),
  '-',
  `writable, of container ${layer.container}`,
];

export const writableJson = (layer: WritableLayer): object => ({
  layer: 'writable',
  container: layer.container,
  unpacked: layer.size,
  added: counted(layer, 'added'),
  changed: counted(layer, 'modified'),
  deleted: counted(layer, 'deleted'),
});

function namesOf(images: readonly StoredImage[], most: number): string {
  if (images.length === 0) return '-';
  const names = images.slice(0, most).map(imageName);
  const others = images.length - names.length;
  return names.join(', ') + (others > 0 ? ` and ${others} more` : '');
}

/** The same for programs. */
export const layerJson = (report: LayerReport): object => {
  const { layer, stored, changes, createdBy, sharedWith } = report;
  const { descriptor, diffId, chainId, tarSize, bytes, directory, dependent } = stored;
  const { layer: _, ...counts } = changes;
  return {
    layer,
    diffId,
    chainId,
    digest: descriptor.digest,
    mediaType: descriptor.mediaType,
    compressed: descriptor.size,
    tar: tarSize,
    unpacked: bytes,
    ...counts,
    createdBy: createdBy ?? null,
    dependsOnParents: dependent,
    directory,
    sharedWith: sharedWith.map(({ id, references }) => ({ id, references })),
  };
};
