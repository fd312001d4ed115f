import { sha256 } from '../oci/digest.ts';
import { type Item, file, link, tarOf, tree } from './tree.ts';

export interface ArchivedImage {
  readonly tags?: readonly string[] | null;
  /** As they are stored, base first. */
  readonly layers: readonly Buffer[];
  /** Their tars, where they are stored compressed. */
  readonly tars?: readonly Buffer[];
  readonly architecture?: string;
}

/**
 * An archive as Docker wrote it before version 25: `<id>/layer.tar` with a symbolic link where a
 * layer occurs again, `<config>.json`, `repositories` and `manifest.json`.
 * @param extra - members that come before the lists
 */
export function dockerArchive(
  images: readonly ArchivedImage[],
  extra: Readonly<Record<string, Item>> = {},
): Buffer {
  const items: [string, Item][] = [];
  const first = new Map<string, string>();
  const manifest = images.map(({ tags, layers, tars = layers, architecture }, number) => {
    const paths = layers.map((layer, at) => {
      const id = sha256(`${number} ${at}`).slice(7);
      const digest = sha256(layer);
      const known = first.get(digest);
      items.push([`${id}/VERSION`, file('1.0')]);
      items.push([`${id}/layer.tar`, known ? link(`../${known}/layer.tar`) : file(layer)]);
      first.set(digest, known ?? id);
      return `${id}/layer.tar`;
    });
    const config = configOf(tars, architecture);
    const name = `${sha256(config).slice(7)}.json`;
    items.push([name, file(config)]);
    return { Config: name, RepoTags: tags ?? null, Layers: paths };
  });
  items.push(...Object.entries(extra));
  items.push(['repositories', file('{}')]);
  items.push(['manifest.json', file(JSON.stringify(manifest))]);
  return tarOf(tree(items));
}

export const configOf = (tars: readonly Buffer[], architecture = 'amd64'): string =>
  JSON.stringify({
    architecture,
    os: 'linux',
    created: '2020-09-13T12:26:40Z',
    config: { Cmd: ['true'] },
    rootfs: { type: 'layers', diff_ids: tars.map((tar) => sha256(tar)) },
  });
