// From images seen one by one to whole trees: each image once, below the base that it stands on. Pure.
import type { Bytes } from '../../model/units.ts';
import type { DefinitionKind } from '../../observe/usage.ts';

/** Tells images apart: two names of one file have one key. */
export type ImageKey = string;

/** An image as its header tells it. The same one may be seen several times: by other names, or with other formats. */
export interface SeenImage {
  readonly key: ImageKey;
  readonly path: string;
  readonly format: string;
  readonly virtualSize: Bytes | undefined;
  readonly allocated: Bytes | undefined;
  readonly backing: SeenLink | undefined;
  /** Why it could not be looked at. */
  readonly problem: string | undefined;
}

export interface SeenLink {
  /** As the header has it. */
  readonly reference: string;
  readonly relative: boolean;
  /** Where it leads; undefined if that cannot be told. */
  readonly base: { readonly key: ImageKey; readonly path: string } | undefined;
  /** Why it leads nowhere. */
  readonly broken: string | undefined;
}

export interface SeenUse {
  readonly key: ImageKey;
  readonly domain: string;
  readonly uuid: string;
  readonly running: boolean;
  readonly disk: string;
  readonly definition: DefinitionKind;
  /** `active`: the active image; `mirror`: the destination of the block job `job`. */
  readonly role: 'active' | 'mirror';
  readonly job: string | undefined;
}

/** A disk that stands on an image with nothing between. */
export interface TreeUser {
  readonly domain: string;
  readonly disk: string;
  readonly running: boolean;
  readonly definitions: readonly DefinitionKind[];
  readonly role: 'active' | 'mirror';
  readonly job: string | undefined;
}

/**
 * `used`: some domain's chain has it. `referred`: no chain has it, but `by` names it. `orphan`: nothing known to this
 * host refers to it; `perhaps-orphan`: the same, but not everything could be looked at.
 */
export type Standing =
  | { readonly kind: 'used' }
  | { readonly kind: 'referred'; readonly by: string }
  | { readonly kind: 'orphan' }
  | { readonly kind: 'perhaps-orphan' };

export interface TreeImage {
  /** For people: a path or a URI. */
  readonly path: string;
  /** Other names by which the same file is used. */
  readonly alsoNamed: readonly string[];
  readonly format: string;
  /** Others that are declared for the same image: somebody reads it wrongly. */
  readonly alsoDeclared: readonly string[];
  /** Bytes the guest sees; undefined where it could not be looked at. */
  readonly virtualSize: Bytes | undefined;
  readonly allocated: Bytes | undefined;
  readonly users: readonly TreeUser[];
  readonly standing: Standing;
  readonly backing: TreeLink | undefined;
  readonly problem: string | undefined;
  /** By path. */
  readonly children: readonly TreeImage[];
}

export interface TreeLink {
  readonly reference: string;
  readonly relative: boolean;
  /** The path of the image that it leads to. */
  readonly base: string | undefined;
  readonly broken: string | undefined;
}

export interface Seen {
  readonly images: readonly SeenImage[];
  readonly uses: readonly SeenUse[];
  /** What names images that are in no chain. */
  readonly referred: ReadonlyMap<ImageKey, string>;
  /** Everything that may use an image was looked at. */
  readonly complete: boolean;
}

/** The trees, by the paths of their lowest bases. An image whose base was not looked at begins a tree of its own. */
export function buildTrees(seen: Seen): TreeImage[] {
  const nodes = new Map<ImageKey, Node>();
  for (const image of seen.images) note(nodes, image);
  const standings = standingsOf(nodes, seen);
  const above = Map.groupBy(nodes.keys(), (key) => baseOf(nodes, key));
  const users = Map.groupBy(seen.uses, ({ key }) => key);
  const placed = new Set<ImageKey>();
  const place = (key: ImageKey, node: Node): TreeImage => {
    placed.add(key);
    const children = (above.get(key) ?? []).filter((child) => !placed.has(child));
    const { image, names, formats } = node;
    const [, ...alsoNamed] = names;
    const [, ...alsoDeclared] = formats;
    const { path, format, virtualSize, allocated, problem } = image;
    return {
      ...{ path, alsoNamed, format, alsoDeclared, virtualSize, allocated, problem },
      users: mergeUsers(users.get(key) ?? []),
      standing: standings.get(key) ?? { kind: 'used' },
      backing: linkOf(nodes, image),
      children: byPath(children.flatMap((child) => withNode(nodes, child, place))),
    };
  };
  const roots = above.get(undefined) ?? [];
  const trees = roots.flatMap((key) => withNode(nodes, key, place));
  // What is left stands on itself, by way of others: one image of each such circle is put lowest.
  for (const key of [...nodes.keys()].sort(compare)) {
    if (!placed.has(key)) trees.push(...withNode(nodes, key, place));
  }
  return byPath(trees);
}

/** Every image of the trees, each base before what stands on it. */
export function* eachImage(
  trees: readonly TreeImage[],
  base?: TreeImage,
): Generator<{ readonly image: TreeImage; readonly base: TreeImage | undefined }> {
  for (const image of trees) {
    yield { image, base };
    yield* eachImage(image.children, image);
  }
}

/** Those trees in which the domain has a part. */
export function treesOf(trees: readonly TreeImage[], domain: string): TreeImage[] {
  return trees.filter((tree) =>
    [...eachImage([tree])].some(({ image }) => image.users.some((user) => user.domain === domain)),
  );
}

interface Node {
  image: SeenImage;
  readonly names: Set<string>;
  readonly formats: Set<string>;
}

/** The first one that could be looked at speaks for the image. */
function note(nodes: Map<ImageKey, Node>, image: SeenImage): void {
  const node = nodes.get(image.key);
  if (node === undefined) {
    nodes.set(image.key, { image, names: new Set([image.path]), formats: new Set([image.format]) });
    return;
  }
  const better = node.image.problem !== undefined && image.problem === undefined;
  if (better) node.image = image;
  for (const [all, one] of [
    [node.names, image.path],
    [node.formats, image.format],
  ] as const) {
    if (better) {
      const others = [...all].filter((other) => other !== one);
      all.clear();
      for (const each of [one, ...others]) all.add(each);
    } else all.add(one);
  }
}

function withNode(
  nodes: ReadonlyMap<ImageKey, Node>,
  key: ImageKey,
  place: (key: ImageKey, node: Node) => TreeImage,
): TreeImage[] {
  const node = nodes.get(key);
  return node === undefined ? [] : [place(key, node)];
}

/** The key of the base, if it was looked at. */
function baseOf(nodes: ReadonlyMap<ImageKey, Node>, key: ImageKey): ImageKey | undefined {
  const base = nodes.get(key)?.image.backing?.base?.key;
  return base !== undefined && nodes.has(base) ? base : undefined;
}

function linkOf(nodes: ReadonlyMap<ImageKey, Node>, { backing }: SeenImage): TreeLink | undefined {
  if (backing === undefined) return undefined;
  const { reference, relative, base, broken } = backing;
  const path = base && (nodes.get(base.key)?.image.path ?? base.path);
  return { reference, relative, base: path, broken };
}

/** A chain's images are used down to its end, and what is referred to keeps all that it stands on. */
function standingsOf(nodes: ReadonlyMap<ImageKey, Node>, seen: Seen): Map<ImageKey, Standing> {
  const standings = new Map<ImageKey, Standing>();
  const mark = (from: ImageKey, standing: Standing) => {
    let key: ImageKey | undefined = from;
    while (key !== undefined && !standings.has(key)) {
      standings.set(key, standing);
      key = baseOf(nodes, key);
    }
  };
  for (const { key } of seen.uses) mark(key, { kind: 'used' });
  for (const [key, by] of seen.referred) mark(key, { kind: 'referred', by });
  const rest: Standing = { kind: seen.complete ? 'orphan' : 'perhaps-orphan' };
  for (const key of nodes.keys()) if (!standings.has(key)) standings.set(key, rest);
  return standings;
}

function mergeUsers(uses: readonly SeenUse[]): TreeUser[] {
  const users = new Map<string, TreeUser>();
  for (const { uuid, domain, disk, running, definition, role, job } of uses) {
    const id = JSON.stringify([uuid, disk, role]);
    const definitions = new Set([...(users.get(id)?.definitions ?? []), definition]);
    users.set(id, { domain, disk, running, definitions: [...definitions], role, job });
  }
  return [...users.values()].sort((a, b) => compare(`${a.domain} ${a.disk}`, `${b.domain} ${b.disk}`));
}

function byPath(images: TreeImage[]): TreeImage[] {
  return images.sort((a, b) => compare(a.path, b.path));
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
