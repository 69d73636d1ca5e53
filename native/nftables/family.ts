// What nf_tables' objects are named by.

export type Family = 'ip' | 'ip6' | 'inet'
export type TableRef = { readonly family: Family; readonly name: string }

export type Verdict = 'accept' | 'drop' | 'return' | 'continue' | `jump ${string}` | `goto ${string}`
