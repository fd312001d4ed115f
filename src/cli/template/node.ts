/** The syntax tree of a template. `at` is an offset into its text. */
export type Statement =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | Branch
  | { readonly kind: 'break' | 'continue' };

export interface Branch {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipe: Pipe;
  readonly body: readonly Statement[];
  readonly otherwise: readonly Statement[];
}

export interface Pipe {
  readonly kind: 'pipe';
  readonly at: number;
  /** Variables that the pipeline sets: declared by `:=`, or assigned by `=`. */
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export interface Command {
  readonly at: number;
  readonly operands: readonly Operand[];
}

export type Operand =
  | { readonly kind: 'dot' | 'nil'; readonly at: number }
  | {
      readonly kind: 'constant';
      readonly at: number;
      readonly text: string;
      readonly value: boolean | number | string;
    }
  | { readonly kind: 'field'; readonly at: number; readonly names: readonly string[] }
  | {
      readonly kind: 'variable';
      readonly at: number;
      readonly name: string;
      readonly names: readonly string[];
    }
  | { readonly kind: 'function'; readonly at: number; readonly name: string }
  | {
      readonly kind: 'chain';
      readonly at: number;
      readonly of: Operand;
      readonly names: readonly string[];
    }
  | Pipe;

/** The source of a node, normalised, as error messages quote it. */
export function sourceOf(node: Operand): string {
  switch (node.kind) {
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    case 'constant':
      return node.text;
    case 'field':
      return node.names.map((name) => `.${name}`).join('');
    case 'variable':
      return [node.name, ...node.names].join('.');
    case 'function':
      return node.name;
    case 'chain':
      return [`(${sourceOf(node.of)})`, ...node.names].join('.');
    default:
      return node.commands.map(sourceOfCommand).join(' | ');
  }
}

export const sourceOfCommand = ({ operands }: Command): string =>
  operands
    .map((operand) => (operand.kind === 'pipe' ? `(${sourceOf(operand)})` : sourceOf(operand)))
    .join(' ');
