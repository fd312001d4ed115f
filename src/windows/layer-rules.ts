import { MicaError } from '../errors.ts';
import { OPAQUE_WHITEOUT, WHITEOUT_PREFIX } from '../oci/whiteout.ts';
import { printable } from '../sys/byte-string.ts';
import type { Entry } from '../tar/entry.ts';
import { ATTRIBUTE, factsOf, type FileFacts } from './file-facts.ts';
import { foldName } from './fold.ts';
import { parseWindowsName } from './names.ts';

/** What a member of a Windows layer is. Paths are byte strings, with `/`. */
export type LayerMember =
  | { readonly kind: 'directory' | 'file'; readonly path: string; readonly facts: FileFacts }
  /** Another stream of the file or directory that came right before. */
  | { readonly kind: 'stream'; readonly path: string; readonly stream: string }
  | {
      readonly kind: 'link';
      readonly path: string;
      readonly target: string;
      readonly isHere: boolean;
    }
  | { readonly kind: 'tombstone'; readonly path: string };

export interface LayerRulesOptions {
  /** Whether nothing lies below; `undefined`: not known. */
  readonly isBase: boolean | undefined;
  /** Names at most. Default 2,000,000. */
  readonly limit?: number;
  /** Bytes of all names. Default 256 MiB. */
  readonly nameBytes?: number;
}

/** The only directories at the root of a layer. */
const AREAS = ['Files', 'Hives', 'UtilityVM'] as const;

/**
 * What Windows takes as a layer, as its own importer decides it: a member after the directory that
 * it is in, each name once whatever its case, all of it in `Files`, `Hives` or `UtilityVM`.
 */
export class LayerRules {
  readonly #options: LayerRulesOptions;
  /** By name without case. */
  readonly #known = new Map<
    string,
    { readonly path: string; readonly kind: 'directory' | 'file' | 'reparse' }
  >();
  readonly #deleted = new Set<string>();
  #nameBytes = 0;
  #last: string | undefined;

  constructor(options: LayerRulesOptions) {
    this.#options = options;
  }

  /** @throws INVALID_ARGUMENT for what Windows would refuse, or change; NOT_IMPLEMENTED for sparse members */
  accept(entry: Entry): LayerMember {
    const name = entry.name.replace(/\/$/, '');
    const start = name.lastIndexOf('/') + 1;
    if (name.startsWith(WHITEOUT_PREFIX, start)) return this.#tombstone(name, start);
    if (name === '.') this.#checkArea(name);
    const { path, stream } = parseWindowsName(name);
    this.#checkArea(path);
    if (entry.sparse !== undefined)
      throw new MicaError(
        'NOT_IMPLEMENTED',
        `${printable(path)}: sparse members of a Windows layer are not read`,
      );
    if (stream !== undefined) return this.#stream(entry, path, stream);
    if (entry.type === 'link') return this.#link(entry, path);
    if (entry.type !== 'file' && entry.type !== 'directory' && entry.type !== 'symlink')
      throw refused(path, `a ${entry.type} is nothing that Windows has`);
    const facts = factsOf(entry);
    const isDirectory = (facts.attributes & ATTRIBUTE.directory) !== 0;
    if (
      path.startsWith('Hives/') &&
      (isDirectory || entry.type !== 'file' || path.includes('/', 6))
    )
      throw refused(path, 'Hives holds files only');
    this.#enter(path, entry.type === 'symlink' ? 'reparse' : entry.type);
    return { kind: isDirectory ? 'directory' : 'file', path, facts };
  }

  /** The archive is over. @throws INVALID_ARGUMENT when it is no layer of Windows */
  finish(): void {
    if (!this.#known.has('FILES'))
      throw new MicaError(
        'INVALID_ARGUMENT',
        'the layer has no directory Files, which every layer of a Windows image has; pull it into a store of another driver if it is for another system',
      );
  }

  #tombstone(name: string, start: number): LayerMember {
    const hidden = name.slice(start + WHITEOUT_PREFIX.length);
    if (name.endsWith(OPAQUE_WHITEOUT) || hidden.startsWith(WHITEOUT_PREFIX))
      throw refused(name, 'Windows has no opaque directories, only deleted names');
    const { path, stream } = parseWindowsName(name.slice(0, start) + hidden);
    if (stream !== undefined) throw refused(path, 'a stream cannot be deleted by a layer');
    if (!path.startsWith('Files/') && !path.startsWith('UtilityVM/Files/'))
      throw refused(path, 'only what is in Files or UtilityVM/Files can be deleted');
    if (this.#options.isBase === true) throw refused(path, 'a base layer deletes nothing');
    if (this.#known.has(foldName(path))) throw refused(path, DELETED);
    this.#count(path);
    this.#deleted.add(foldName(path));
    this.#last = undefined;
    return { kind: 'tombstone', path };
  }

  #stream(entry: Entry, path: string, stream: string): LayerMember {
    if (entry.type !== 'file')
      throw refused(path, `its stream ${printable(stream)} is a ${entry.type}`);
    if (this.#last !== path)
      throw refused(path, `its stream ${printable(stream)} does not come right after it`);
    if (path.startsWith('Hives/')) throw refused(path, 'a hive has one stream');
    this.#enterName(`${path}:${stream}`, 'file');
    return { kind: 'stream', path, stream };
  }

  #link(entry: Entry, path: string): LayerMember {
    const { path: target, stream } = parseWindowsName(entry.linkName);
    const areas = ['Files/', 'UtilityVM/Files/'];
    const isPlaced = areas.some((area) => path.startsWith(area) && target.startsWith(area));
    if (stream !== undefined || !isPlaced)
      throw refused(path, `it cannot be a hard link to ${printable(entry.linkName)}`);
    const found = this.#known.get(foldName(target));
    if (found !== undefined && (found.kind !== 'file' || found.path !== target))
      throw refused(path, `${printable(target)}, to which it is a hard link, is no file`);
    if (found === undefined && this.#options.isBase === true)
      throw refused(
        path,
        `${printable(target)}, to which it is a hard link, does not exist so far`,
      );
    this.#enter(path, 'file');
    this.#last = undefined;
    return { kind: 'link', path, target, isHere: found !== undefined };
  }

  #checkArea(path: string): void {
    if (AREAS.some((area) => path === area || path.startsWith(`${area}/`))) return;
    throw refused(
      path,
      'a layer of a Windows image has Files, Hives and UtilityVM, and nothing beside them; if the image is for another system, use another storage driver',
    );
  }

  #enter(path: string, kind: 'directory' | 'file' | 'reparse'): void {
    const slash = path.lastIndexOf('/');
    if (slash < 0 && kind !== 'directory') throw refused(path, `it is a directory, not a ${kind}`);
    if (slash >= 0) {
      const above = path.slice(0, slash);
      const parent = this.#known.get(foldName(above));
      if (parent === undefined)
        throw refused(path, `its directory ${printable(above)} comes later or never`);
      if (parent.kind !== 'directory') throw refused(path, `${printable(above)} is no directory`);
      if (parent.path !== above)
        throw refused(path, `its directory is called ${printable(parent.path)} in this layer`);
    }
    this.#enterName(path, kind);
    this.#last = path;
  }

  #enterName(path: string, kind: 'directory' | 'file' | 'reparse'): void {
    const key = foldName(path);
    const before = this.#known.get(key);
    if (before !== undefined)
      throw refused(
        path,
        `Windows has one file of this name, and it came before as ${printable(before.path)}`,
      );
    if (this.#deleted.has(key)) throw refused(path, DELETED);
    this.#count(path);
    this.#known.set(key, { path, kind });
  }

  /** Another name, which is remembered to the end. */
  #count(name: string): void {
    const { limit = 2_000_000, nameBytes = 256 * 2 ** 20 } = this.#options;
    if (this.#known.size + this.#deleted.size >= limit)
      throw new MicaError('RESOURCE_EXHAUSTED', `a layer of more than ${limit} files`);
    this.#nameBytes += name.length;
    if (this.#nameBytes > nameBytes)
      throw new MicaError(
        'RESOURCE_EXHAUSTED',
        `a layer with more than ${nameBytes} bytes of names`,
      );
  }
}

const DELETED = 'it is made and deleted by one layer, and Windows would delete it';

const refused = (path: string, why: string): MicaError =>
  new MicaError('INVALID_ARGUMENT', `${printable(path.slice(0, 300))} in a Windows layer: ${why}`);
