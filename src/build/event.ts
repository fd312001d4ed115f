import type { PullEvent } from '../engine/pull/pull.ts';
import type { DiffId } from '../oci/digest.ts';

/** An instruction as it is carried out. */
export interface BuildStep {
  /** From 1, in the order in which steps began. */
  readonly id: number;
  /** Of the stage: its name, or its number. */
  readonly stage: string;
  /** In its stage, from 1. */
  readonly position: number;
  readonly of: number;
  /** As it is written in the Dockerfile. */
  readonly source: string;
  readonly line: number;
}

/** Facts about a build. */
export type BuildEvent =
  | { readonly type: 'started'; readonly step: BuildStep }
  /** What a command said. */
  | {
      readonly type: 'output';
      readonly step: BuildStep;
      readonly stream: 'stdout' | 'stderr';
      readonly data: Uint8Array;
    }
  | {
      readonly type: 'done';
      readonly step: BuildStep;
      /** `undefined`: a step that is so cheap that it is never kept. */
      readonly cache: CacheAnswer | undefined;
      /** `undefined`: it made none. */
      readonly layer: { readonly diffId: DiffId; readonly size: number } | undefined;
      readonly milliseconds: number;
    }
  | { readonly type: 'failed'; readonly step: BuildStep; readonly message: string }
  | {
      readonly type: 'base';
      readonly stage: string;
      readonly image: string;
      readonly event: PullEvent;
    }
  | { readonly type: 'warning'; readonly message: string };

/** Whether a step was taken from the cache, and if not, why. */
export type CacheAnswer =
  | { readonly hit: true; readonly since: Date }
  | { readonly hit: false; readonly reasons: readonly MissReason[] };

/** What kept a step from being taken from the cache. */
export type MissReason =
  /** No step like it was ever made here. */
  | { readonly kind: 'new' }
  /** The caller wanted none of the cache. */
  | { readonly kind: 'unwanted' }
  /** What it made is not in the store any more, or compressed otherwise. */
  | { readonly kind: 'gone' }
  | ChangedInput;

/** An input is not what it was when the nearest earlier step was made. */
export interface ChangedInput {
  readonly kind: 'changed' | 'added' | 'removed';
  readonly input: string;
  readonly before: string | undefined;
  readonly now: string | undefined;
}
