import type { TransferEvent } from '../../../engine/transfer/transfer.ts';
import type { Descriptor } from '../../../oci/descriptor.ts';
import type { Digest } from '../../../oci/digest.ts';
import { isLayer } from '../../../oci/media-type.ts';
import { PULL, type Words } from './words.ts';

export type LayerPhase =
  | 'waiting'
  | 'exists'
  | 'mounted'
  | 'downloading'
  | 'downloaded'
  | 'extracting'
  | 'retrying'
  | 'complete';

/** What is known of one layer. */
export interface LayerState {
  readonly target: Descriptor;
  phase: LayerPhase;
  /** Of the blob, that are here. */
  bytes: number;
  /** Of these, from an earlier attempt. */
  resumed: number;
  /** Another process downloads it. */
  shared: boolean;
  /** Bytes a second, smoothed. */
  rate: number;
  /** Of the blob, that have been unpacked. */
  extracted: number;
  /** Why it is tried again, and when, in milliseconds since 1970. */
  retry: { readonly reason: string; readonly at: number } | undefined;
  /** The repository that it was mounted from. */
  from: string | undefined;
}

/** Weight of the past in a rate: half of it is forgotten in this time, in milliseconds. */
const HALF_LIFE = 1500;
/** Rates are measured over at least this time, in milliseconds. */
const MIN_SAMPLE = 200;

/** The facts of a transfer so far, from which every renderer draws. */
export class TransferState {
  readonly words: Words;
  /** Base first; a digest that occurs twice has one state. */
  readonly layers: LayerState[] = [];
  readonly #byDigest = new Map<Digest, LayerState>();
  readonly #samples = new Map<Digest, { at: number; bytes: number }>();

  constructor(words: Words = PULL) {
    this.words = words;
  }

  /** @returns the layer that the event is about, if it is about one */
  apply(event: TransferEvent, now: number): LayerState | undefined {
    if (event.type === 'layers') event.layers.forEach((target) => this.#add(target));
    const target = 'target' in event ? event.target : undefined;
    // A copy of several images finds out on the way which layers there are.
    if (target && isLayer(target.mediaType) && event.type !== 'resolved') this.#add(target);
    const layer = target && this.#byDigest.get(target.digest);
    if (layer) this.#advance(layer, event, now);
    return layer;
  }

  /** Bytes a second over all layers. */
  get rate(): number {
    return sum(this.layers, ({ phase, rate }) => (phase === 'downloading' ? rate : 0));
  }

  /** Bytes that had to be fetched, and how many of them are here. */
  get fetched(): { readonly bytes: number; readonly total: number } {
    const fetching = this.layers.filter(({ phase }) => phase !== 'exists' && phase !== 'mounted');
    return {
      bytes: sum(fetching, ({ bytes, resumed }) => bytes - resumed),
      total: sum(fetching, ({ target, resumed }) => target.size - resumed),
    };
  }

  get done(): number {
    return this.layers.filter(({ phase }) => ENDS.has(phase)).length;
  }

  #add(target: Descriptor): void {
    if (this.#byDigest.has(target.digest)) return;
    const layer: LayerState = {
      target,
      phase: 'waiting',
      bytes: 0,
      resumed: 0,
      shared: false,
      rate: 0,
      extracted: 0,
      retry: undefined,
      from: undefined,
    };
    this.layers.push(layer);
    this.#byDigest.set(target.digest, layer);
  }

  #advance(layer: LayerState, event: TransferEvent, now: number): void {
    switch (event.type) {
      case 'exists':
      case 'waiting':
      case 'complete':
        // What was mounted is complete, too, and more is known of it.
        if (layer.phase !== 'mounted') layer.phase = event.type;
        break;
      case 'bytes':
        layer.phase = 'downloading';
        layer.resumed = event.resumed;
        layer.shared = event.shared;
        this.#measure(layer, event.bytes, now);
        layer.bytes = event.bytes;
        break;
      case 'downloaded':
        layer.phase = 'downloaded';
        layer.bytes = layer.target.size;
        break;
      case 'extracting':
        layer.phase = 'extracting';
        layer.extracted = event.bytes;
        break;
      case 'mounted':
        layer.phase = 'mounted';
        layer.from = event.from;
        break;
      case 'retry':
        layer.phase = 'retrying';
        layer.retry = { reason: event.reason, at: now + event.delay };
        break;
      default:
    }
  }

  #measure(layer: LayerState, bytes: number, now: number): void {
    const { digest } = layer.target;
    const last = this.#samples.get(digest);
    if (!last || bytes < last.bytes) {
      this.#samples.set(digest, { at: now, bytes });
      return;
    }
    const elapsed = now - last.at;
    if (elapsed < MIN_SAMPLE) return;
    const current = ((bytes - last.bytes) / elapsed) * 1000;
    const kept = layer.rate === 0 ? 0 : 0.5 ** (elapsed / HALF_LIFE);
    layer.rate = layer.rate * kept + current * (1 - kept);
    this.#samples.set(digest, { at: now, bytes });
  }
}

const ENDS: ReadonlySet<LayerPhase> = new Set(['exists', 'mounted', 'complete']);

const sum = (layers: readonly LayerState[], of: (layer: LayerState) => number): number =>
  layers.reduce((total, layer) => total + of(layer), 0);
