import type { LayerBlobFacts, LayerBlobsReport } from '../../../engine/blobs/report.ts';
import { shortId } from '../name.ts';
import { count, duration, size } from '../quantity.ts';
import { table } from '../table.ts';

/** What the compressed layers take, and what each policy would free and cost. Empty where there is no layer. */
export function renderLayerBlobs({ policy, layers }: LayerBlobsReport): string {
  if (layers.length === 0) return '';
  const now = (name: string): string => (name === policy ? `${name} (now)` : name);
  const rows = [
    [now('keep'), size(0), keepCost(layers)],
    [now('recreate'), size(bytes(layers.filter(canMake).filter(isKept))), makeCost(layers)],
    [now('refetch'), size(bytes(layers.filter(canFetch).filter(isKept))), fetchCost(layers)],
  ];
  const columns = [
    { head: 'COMPRESSED LAYERS' },
    { head: 'WOULD FREE', right: true },
    { head: 'AT WHAT COST' },
  ];
  return table(columns, rows);
}

/** A line for each compressed layer. */
export function renderEachBlob({ layers }: LayerBlobsReport): string {
  const columns = [
    { head: 'BLOB' },
    { head: 'SIZE', right: true },
    { head: 'STATE' },
    { head: 'RECIPE', right: true },
    { head: 'TIME', right: true },
    { head: 'MADE BY, OR WHY THERE IS NO RECIPE' },
  ];
  const rows = layers.map((blob) => [
    shortId(blob.digest),
    size(blob.size),
    blob.state,
    canMake(blob) ? size(blob.recipeSize) : '-',
    canMake(blob) ? seconds(blob.milliseconds) : '-',
    blob.compressor ?? blob.reason ?? 'nobody has looked yet',
  ]);
  return layers.length === 0 ? '' : table(columns, rows);
}

const isKept = ({ state }: LayerBlobFacts): boolean => state === 'kept';
const canMake = ({ recipe, isPushed }: LayerBlobFacts): boolean => recipe === 'proven' && !isPushed;
const canFetch = (blob: LayerBlobFacts): boolean => blob.canFetch;
const bytes = (blobs: readonly LayerBlobFacts[]): number =>
  [...new Map(blobs.map((blob) => [blob.digest, blob.size])).values()].reduce(
    (sum, one) => sum + one,
    0,
  );
const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)}s`;

function keepCost(layers: readonly LayerBlobFacts[]): string {
  const [kept, dropped] = [layers.filter(isKept), layers.filter((blob) => !isKept(blob))];
  return [
    `${size(bytes(kept))} of ${count(kept.length, 'layer')}, pushed as they are`,
    ...(dropped.length > 0 ? [`${size(bytes(dropped))} of ${dropped.length} dropped`] : []),
  ].join('; ');
}

function makeCost(layers: readonly LayerBlobFacts[]): string {
  const made = layers.filter(canMake);
  const open = layers.filter(({ recipe, reason }) => recipe === 'unknown' && reason === undefined);
  const never = layers.filter(({ recipe, reason }) => recipe !== 'proven' && reason !== undefined);
  const time = made.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const recipes = made.reduce((sum, { recipeSize }) => sum + recipeSize, 0);
  const reasons = [...new Set(never.map(({ reason }) => reason!))];
  const parts = [
    ...(made.length > 0
      ? [
          `${duration(time).toLowerCase()} to make ${count(made.length, 'layer')} again, ${size(recipes)} of recipes`,
        ]
      : []),
    ...(open.length > 0 ? [`${size(bytes(open))} of ${open.length} not tried yet`] : []),
    ...(never.length > 0
      ? [
          `not possible for ${size(bytes(never))} of ${never.length}${reasons.length === 1 ? `: ${reasons[0]}` : ''}`,
        ]
      : []),
  ];
  return parts.join('; ');
}

function fetchCost(layers: readonly LayerBlobFacts[]): string {
  const [some, others] = [layers.filter(canFetch), layers.filter((blob) => !canFetch(blob))];
  return [
    `a push needs the registry that they came from, ${size(bytes(some))}`,
    ...(others.length > 0 ? [`not possible for ${size(bytes(others))} of ${others.length}`] : []),
  ].join('; ');
}
