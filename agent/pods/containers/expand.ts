/**
 * `$(NAME)` in commands, arguments and values. `$$` is a dollar sign, and a name that `lookup` does
 * not know stays as it is written (kubernetes third_party/forked/golang/expansion).
 */
export const expand = (text: string, lookup: (name: string) => string | undefined): string =>
  text.replace(/\$(?:\$|\(([^)]*)\))/g, (whole, name: string | undefined) => (name === undefined ? '$' : (lookup(name) ?? whole)))
