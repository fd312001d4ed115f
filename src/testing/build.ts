import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Builder, BuildOptions, BuildResult } from '../build/builder.ts';
import type { BuildEvent } from '../build/event.ts';
import { openBuilder } from '../build/open.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open.ts';
import type { UnionTree } from '../union/tree.ts';

/** What a build context has: by path, text; `{ link }` for a symbolic link. */
export type ContextFiles = Readonly<Record<string, string | { readonly link: string }>>;

/** A store to build in, and directories to build from. */
export interface BuildPlace extends AsyncDisposable {
  readonly builder: Builder;
  readonly engine: Engine;
  /** A directory of its own for what a test makes besides. */
  readonly directory: string;
  /** A new build context. */
  context(files: ContextFiles): Promise<string>;
  /** Builds from a Dockerfile's text. */
  build(dockerfile: string, files?: ContextFiles, options?: Partial<BuildOptions>): Promise<Built>;
}

export interface Built extends BuildResult {
  readonly events: readonly BuildEvent[];
}

export async function buildPlace(driver = 'tar', parent: string = tmpdir()): Promise<BuildPlace> {
  await using stack = new AsyncDisposableStack();
  const { path: directory } = stack.use(await mkdtempDisposable(join(parent, 'mica-build-')));
  const root = join(directory, 'store');
  const builder = stack.use(await openBuilder({ root, driver }));
  const engine = stack.use(await openEngine({ root, driver }));
  let contexts = 0;
  const context: BuildPlace['context'] = async (files) => {
    const place = join(directory, `context-${++contexts}`);
    await mkdir(place);
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(place, name)), { recursive: true });
      if (typeof content === 'string') await writeFile(join(place, name), content);
      else await symlink(content.link, join(place, name));
    }
    return place;
  };
  const owned = stack.move();
  return {
    builder,
    engine,
    directory,
    context,
    async build(dockerfile, files = {}, options = {}) {
      const events: BuildEvent[] = [];
      const result = await builder.build({
        context: await context(files),
        dockerfile: Buffer.from(dockerfile),
        onProgress: (event) => events.push(event),
        ...options,
      });
      return { ...result, events };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Every path of an image with what it is: type, mode, owner, content or target. */
export async function treeOf(
  engine: Engine,
  { image }: Pick<BuildResult, 'image'>,
): Promise<string[]> {
  await using tree = await engine.tree(image.id);
  return await listTree(tree);
}

async function listTree(tree: UnionTree): Promise<string[]> {
  const lines: string[] = [];
  for (const { path, type, stat } of tree.walk()) {
    if (path === '/') continue;
    const owner = stat.uid === 0 && stat.gid === 0 ? [] : [`${stat.uid}:${stat.gid}`];
    const content =
      type === 'file' ? [(await tree.readFile(path)).toString()] : [stat.target].filter(Boolean);
    const kind =
      type === 'directory' ? '/' : type === 'symlink' ? '@' : type === 'file' ? '' : type;
    lines.push([path + kind, (stat.mode & 0o7777).toString(8), ...owner, ...content].join(' '));
  }
  return lines;
}
