type Labels = Readonly<Record<string, string>>;

/** Whether labels have `KEY` or `KEY=VALUE`, as docker's filters give it. */
export function labelFilter(text: string): (labels: Labels | undefined) => boolean {
  const [name = '', ...rest] = text.split('=');
  const value = rest.length > 0 ? rest.join('=') : undefined;
  return (labels = {}) =>
    Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
}
